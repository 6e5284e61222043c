use std::fs;
use std::time::UNIX_EPOCH;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, date_time_ymd};
use tempfile::TempDir;

use super::*;

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn certificate(key: &KeyPair) -> String {
    let mut params = CertificateParams::new(vec!["chat.example.com".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2099, 1, 2);
    params.self_signed(key).unwrap().pem()
}

/// Reads two files with this content.
fn load(certificate: &str, key: &str) -> (TempDir, Result<Pair, TlsError>) {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (
        directory.path().join("chain.pem"),
        directory.path().join("key.pem"),
    );
    fs::write(&first, certificate).unwrap();
    fs::write(&second, key).unwrap();
    let pair = Pair::load(&first, &second);
    (directory, pair)
}

fn refusal(certificate: &str, key: &str) -> String {
    let (_, loaded) = load(certificate, key);
    loaded.unwrap_err().to_string()
}

#[test]
fn every_form_of_key_that_authorities_and_tools_write_is_read() {
    let elliptic = KeyPair::generate().unwrap();
    let edwards = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let pkcs8 = |key: &KeyPair| pem("PRIVATE KEY", key.serialized_der());
    let sec1 = {
        let der = elliptic.serialized_der();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der).unwrap();
        let key = pair.private_key().as_der().unwrap();
        // openssl writes the curve before the key.
        let parameters = pem("EC PARAMETERS", &[6, 8, 42, 134, 72, 206, 61, 3, 1, 7]);
        parameters + &pem("EC PRIVATE KEY", key.as_ref())
    };
    let old_form = {
        let der = rsa.serialized_der();
        // The octet string at the end of PKCS#8, behind its tag and three bytes of its length.
        let inner = der.windows(2).position(|window| window == [0x04, 0x82]);
        pem("RSA PRIVATE KEY", &der[inner.unwrap() + 4..])
    };
    for (name, key, text) in [
        ("P-256 in PKCS#8", &elliptic, pkcs8(&elliptic)),
        ("P-256 in SEC1", &elliptic, sec1),
        ("Ed25519", &edwards, pkcs8(&edwards)),
        ("RSA in PKCS#8", &rsa, pkcs8(&rsa)),
        ("RSA in PKCS#1", &rsa, old_form),
    ] {
        let (_, loaded) = load(&certificate(key), &text);
        let pair = loaded.unwrap_or_else(|error| panic!("{name}: {error}"));
        let end = pair.ends.unwrap().duration_since(UNIX_EPOCH).unwrap();
        assert_eq!(end.as_secs(), 4_070_995_200, "{name}");
    }
    // Both in one file, as some tools want it.
    let both = certificate(&elliptic) + &pkcs8(&elliptic);
    assert!(load(&both, &both).1.is_ok());
}

#[test]
fn what_is_no_pair_is_refused_with_the_remedy() {
    let (own, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (chain, key) = (certificate(&own), own.serialize_pem());
    let said = refusal(&chain, &other.serialize_pem());
    assert!(
        said.contains("is not that of the first certificate"),
        "{said}"
    );
    // The authority's before the server's own.
    let said = refusal(&(certificate(&other) + &chain), &key);
    assert!(said.contains("before its authority's"), "{said}");
    let said = refusal(&key, &chain);
    assert!(said.contains("holds no certificate"), "{said}");
    let said = refusal(&chain, &chain);
    assert!(said.contains("holds no private key"), "{said}");
    let said = refusal("", "");
    assert!(said.contains("holds no certificate"), "{said}");
    let encrypted = pem("ENCRYPTED PRIVATE KEY", &[0; 40]);
    let said = refusal(&chain, &encrypted);
    assert!(said.contains("openssl pkey"), "{said}");
    let encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
    let said = refusal(&chain, encrypted);
    assert!(said.contains("openssl pkey"), "{said}");
    let half = &chain[..chain.len() / 2];
    let said = refusal(half, &key);
    assert!(said.contains("is damaged"), "{said}");
    let said = refusal(&pem("CERTIFICATE", b"nothing of the kind"), &key);
    assert!(said.contains("cannot be used"), "{said}");
    let said = refusal(&chain, &pem("PRIVATE KEY", b"nothing of the kind"));
    assert!(said.contains("cannot be used"), "{said}");
    for said in [
        refusal(&chain, &pem("PRIVATE KEY", own.serialized_der())[..80]),
        refusal(&chain, &key.replace("PRIVATE", "PUBLIC")),
    ] {
        let secret = STANDARD.encode(own.serialized_der());
        assert!(!said.contains(&secret[..40]), "it shows the key: {said}");
    }
    let gone = Pair::load(
        Path::new("/no/such/chain.pem"),
        Path::new("/no/such/key.pem"),
    );
    let said = gone.unwrap_err().to_string();
    assert!(said.contains("/no/such/chain.pem"), "{said}");
}

#[test]
fn a_certificate_that_has_ended_is_read_and_says_so() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["chat.example.com".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 1);
    let old = params.self_signed(&key).unwrap().pem();
    let (directory, loaded) = load(&old, &key.serialize_pem());
    assert!(loaded.unwrap().ends.unwrap() < SystemTime::now());
    let (chain, key) = (
        directory.path().join("chain.pem"),
        directory.path().join("key.pem"),
    );
    let said = inspect(&chain, &key).unwrap();
    assert!(said.contains("ended on 2020-01-01T00:00:00Z"), "{said}");
}
