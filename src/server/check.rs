//! What would keep the server from starting, found out without starting it. What is said is what the start would say. Nothing stays
//! that was not there: whether a directory can be written is found out with a file that is made in it and removed at once. The journal
//! is not read.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::{Error, bind, settings, tls};
use crate::audit;
use crate::auth::{PublicKey, Secret};
use crate::backend::Backend;
use crate::config::Serve;
use crate::journal::{LockError, lock_read_only};
use crate::media::{self, Owner};
use crate::store;

/// One thing that was looked at.
#[derive(Debug)]
pub struct Finding {
    /// What it is.
    pub subject: &'static str,
    /// How it is, or why the server would not start.
    pub outcome: Result<String, Error>,
    /// What the start would warn of.
    pub warning: Option<&'static str>,
}

/// Looks at the address, the keys and the directories that these flags name.
pub fn check(config: &Serve) -> Vec<Finding> {
    let finding = |subject, outcome| Finding {
        subject,
        outcome,
        warning: None,
    };
    vec![
        Finding {
            warning: settings::exposed_demo(config),
            ..finding("address", address(config))
        },
        finding("certificate", certificate(config)),
        finding("token keys", token_keys(config)),
        admin_key(config),
        finding("data directory", data_dir(&config.storage.data_dir)),
        finding("audit log", audit_log(&config.storage.data_dir)),
        finding("media directory", media_dir(config)),
        finding("existing backend", existing_backend(config)),
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
    if !tokens.gives_secret() && !own.exists() {
        return Ok(format!(
            "the first start makes a secret in {}",
            own.display()
        ));
    }
    let secrets = settings::secrets(config)?.len();
    Ok(format!("{secrets} secrets, {public} public keys"))
}

fn admin_key(config: &Serve) -> Finding {
    let key = settings::admin_key(config);
    let is_short = matches!(&key, Ok(Some(key)) if key.is_short());
    let outcome = key.map(|key| match key {
        Some(_) => "there is one".to_owned(),
        None => "none, so there is no admin API".to_owned(),
    });
    Finding {
        subject: "admin key",
        outcome,
        warning: is_short.then_some(settings::SHORT_ADMIN_KEY),
    }
}

fn data_dir(path: &Path) -> Result<String, Error> {
    let shown = path.display();
    let unusable = |source| Error::DataDir {
        path: shown.to_string(),
        source,
    };
    if !path.exists() {
        can_write(nearest(path)).map_err(unusable)?;
        return Ok(format!("the first start makes {shown}"));
    }
    let in_use = |error: LockError| store::Error::Open(error.to_string());
    let _lock = lock_read_only(path).map_err(in_use)?;
    store::refuse_unfinished(path)?;
    let has_journal = store::has_journal(path)?;
    let schema = store::schema_of(path)?;
    can_write(path).map_err(unusable)?;
    Ok(if has_journal {
        format!(
            "{shown} has schema {schema}; its journal is not read here (`jivchat verify` reads it)"
        )
    } else {
        format!("{shown} has no data yet; the first start begins it")
    })
}

fn audit_log(data_dir: &Path) -> Result<String, Error> {
    let (directory, file) = audit::places(data_dir);
    let shown = directory.display();
    let open = || match OpenOptions::new().append(true).open(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => opened.map(drop),
    };
    can_write(nearest(&directory))
        .and_then(|()| open())
        .map_err(|source| Error::DataDir {
            path: shown.to_string(),
            source,
        })?;
    Ok(format!("{shown} can be written"))
}

fn media_dir(config: &Serve) -> Result<String, Error> {
    let path = settings::media_dir(config);
    let data_dir = &config.storage.data_dir;
    let unusable = |source| Error::Media {
        path: path.display().to_string(),
        source,
    };
    can_write(nearest(&path)).map_err(unusable)?;
    Owner::check(&path, data_dir)?;
    // A journal that is lost is told of as that.
    let is_new = !data_dir.exists() || store::has_journal(data_dir).is_ok_and(|has_one| !has_one);
    if is_new && path.exists() && !media::names_in(&path).map_err(unusable)?.is_empty() {
        return Err(Error::FilesWithoutMessages(path));
    }
    Ok(format!("{} can be written", path.display()))
}

fn existing_backend(config: &Serve) -> Result<String, Error> {
    let is_asked = Backend::check(&settings::backend(config))?;
    Ok(if is_asked {
        "it is not asked here".to_owned()
    } else {
        "none".to_owned()
    })
}

/// What is there of a path: all of it or, before it is made, that in which it will be.
fn nearest(path: &Path) -> &Path {
    let mut found = path.ancestors().filter(|one| one.exists());
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
        assert_eq!(nearest(&deep), dir.path());
        assert_eq!(nearest(Path::new("no/such")), Path::new("."));
        can_write(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(can_write(&deep).is_err());
        let file = dir.path().join("file");
        File::create(&file).unwrap();
        assert!(can_write(nearest(&file.join("below"))).is_err());
    }
}
