//! Flags of https, spoken by the server itself.

use std::path::{Path, PathBuf};

use clap::Args;

/// What https is spoken with.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS")]
pub struct Tls {
    /// File with the server's certificate and, after it, those that lead to its authority, in PEM: the server then speaks https and nothing else. Read again on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// File with the private key of that certificate, in PEM (PKCS#8, SEC1 or PKCS#1) and without a passphrase. Read again on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Seconds for which browsers are told to come to this host over https alone (Strict-Transport-Security); 0 takes it back. Only with --tls-cert
    #[arg(long, default_value_t = 31_536_000, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=63_072_000))]
    pub hsts_max_age: u64,
}

impl Tls {
    /// The certificate and its key, if there are any.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        self.tls_cert.as_deref().zip(self.tls_key.as_deref())
    }
}
