//! `token`: a token for a user, signed with the server's secret, for trying things out.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::auth::{Secret, Strength, mint};
use crate::config::Token;
use crate::store;

/// Prints a token.
pub fn token(arguments: &Token) -> Result<()> {
    let tokens = &arguments.tokens;
    let strength = if tokens.allow_weak_secret {
        Strength::WeakAllowed
    } else {
        Strength::Required
    };
    if tokens.verifies_only() {
        bail!(
            "public keys check tokens and cannot sign one; give a secret too, with --jwt-secret-file"
        );
    }
    if tokens.jwt_secret.is_empty() && tokens.jwt_secret_file.is_empty() {
        let dir = &arguments.data_dir;
        store::make_data_dir(dir).with_context(|| {
            format!(
                "cannot create {}; make it writable or name another with --data-dir",
                dir.display()
            )
        })?;
        if !dir.join("jwt-secret").exists() {
            eprintln!(
                "jivchat: made a new secret in {}; only a server on that directory accepts this token",
                dir.display()
            );
        }
    }
    let secrets = Secret::load(
        &tokens.jwt_secret,
        &tokens.jwt_secret_file,
        &arguments.data_dir,
        strength,
    )?;
    let secret = secrets.first().context("there is no secret")?;
    let token = mint(
        secret,
        arguments.id.as_str(),
        arguments.name.as_deref(),
        arguments.email.as_deref(),
        arguments.picture.as_deref(),
        Duration::from_secs(arguments.ttl),
    )
    .context("the token would be longer than 8 KiB; shorten the claims")?;
    println!("{token}");
    Ok(())
}
