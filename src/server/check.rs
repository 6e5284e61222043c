//! What would keep the server from starting, found out without starting it: nothing is made, nothing is changed, and what is said is
//! what the start would say.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::{Error, bind, settings, tls};
use crate::auth::{PublicKey, Secret};
use crate::config::Serve;
use crate::journal::{LockError, lock_read_only};
use crate::store;

/// One thing that was looked at.
#[derive(Debug)]
pub struct Finding {
    /// What it is.
    pub subject: &'static str,
    /// How it is, or why the server would not start.
    pub outcome: Result<String, Error>,
}

/// Looks at the address, the keys and the directories that these flags name.
pub fn check(config: &Serve) -> Vec<Finding> {
    let finding = |subject, outcome| Finding { subject, outcome };
    vec![
        finding("address", address(config)),
        finding("certificate", certificate(config)),
        finding("token keys", token_keys(config)),
        finding("admin key", admin_key(config)),
        finding("data directory", data_dir(&config.storage.data_dir)),
        finding("media directory", media_dir(config)),
    ]
}

fn address(config: &Serve) -> Result<String, Error> {
    let asked = SocketAddr::new(config.network.host, config.network.port);
    bind(asked)
        .map(|_| format!("{asked} is free"))
        .map_err(|source| Error::Listen {
            address: asked,
            source,
        })
}

fn certificate(config: &Serve) -> Result<String, Error> {
    Ok(match config.tls.files() {
        Some((certificate, key)) => tls::inspect(certificate, key)?,
        None => "none, so http is spoken".to_owned(),
    })
}

fn token_keys(config: &Serve) -> Result<String, Error> {
    let tokens = &config.tokens;
    let public = PublicKey::load(&tokens.jwt_public_key_file)?.len();
    let has_set = settings::key_set(config)?.is_some();
    if tokens.verifies_only() && !config.demo {
        let set = if has_set { " and a key set" } else { "" };
        return Ok(format!("{public} public keys{set}; no secret"));
    }
    let own = Secret::path_in(&config.storage.data_dir);
    let is_given = !tokens.jwt_secret.is_empty() || !tokens.jwt_secret_file.is_empty();
    if !is_given && !own.exists() {
        return Ok(format!(
            "the first start makes a secret in {}",
            own.display()
        ));
    }
    let secrets = settings::secrets(config)?.len();
    Ok(format!("{secrets} secrets, {public} public keys"))
}

fn admin_key(config: &Serve) -> Result<String, Error> {
    Ok(match settings::admin_key(config)? {
        Some(_) => "there is one".to_owned(),
        None => "none, so there is no admin API".to_owned(),
    })
}

fn data_dir(path: &Path) -> Result<String, Error> {
    if !path.exists() {
        let source = can_write(existing_parent(path));
        return match source {
            Ok(()) => Ok(format!("the first start makes {}", path.display())),
            Err(source) => Err(Error::DataDir {
                path: path.display().to_string(),
                source,
            }),
        };
    }
    let in_use = |error: LockError| store::Error::Open(error.to_string());
    let _lock = lock_read_only(path).map_err(in_use)?;
    store::refuse_unfinished(path)?;
    let schema = store::schema_of(path)?;
    can_write(path).map_err(|source| Error::DataDir {
        path: path.display().to_string(),
        source,
    })?;
    Ok(format!("{} has schema {schema}", path.display()))
}

fn media_dir(config: &Serve) -> Result<String, Error> {
    let path = settings::media_dir(config);
    can_write(existing_parent(&path)).map_err(|source| Error::Media {
        path: path.display().to_string(),
        source,
    })?;
    Ok(format!("{} can be written", path.display()))
}

/// The directory itself or, before it is made, the one in which it will be.
fn existing_parent(path: &Path) -> &Path {
    let mut found = path.ancestors().filter(|one| one.is_dir());
    found.next().unwrap_or(Path::new("."))
}

/// Modes do not tell all: a file system may be mounted read-only, and root may write everywhere else.
fn can_write(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".jivchat-check.{}", std::process::id()));
    File::create_new(&probe)?;
    fs::remove_file(&probe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_yet_is_made_in_what_is() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        assert_eq!(existing_parent(&deep), dir.path());
        assert_eq!(existing_parent(Path::new("no/such")), Path::new("."));
        can_write(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(can_write(&deep).is_err());
    }
}
