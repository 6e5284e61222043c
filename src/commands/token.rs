//! `token`: a token for a user, signed with the server's secret, for trying things out; `token inspect`: what a token says, and
//! whether a server with these keys takes it.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::output::say;
use crate::auth::{
    AuthError, CLOCK_LEEWAY, KeySet, MAX_TOKEN, PublicKey, Secret, Verifier, bearer, mint, peek,
};
use crate::config::{InspectToken, Token, TokenAction};
use crate::model::Timestamp;
use crate::server::{expiry, strength};
use crate::store;

/// Prints a token, or what one says.
pub fn token(arguments: &Token) -> Result<()> {
    match &arguments.action {
        Some(TokenAction::Inspect(inspect)) => self::inspect(inspect),
        None => sign(arguments),
    }
}

fn sign(arguments: &Token) -> Result<()> {
    let tokens = &arguments.tokens;
    let id = arguments.id.as_ref().context("--id is missing")?;
    if tokens.verifies_only() {
        bail!(
            "public keys check tokens and cannot sign one; give a secret too, with --jwt-secret-file"
        );
    }
    if !tokens.gives_secret() {
        let dir = &arguments.data_dir;
        store::make_data_dir(dir).with_context(|| {
            format!(
                "cannot create {}; make it writable or name another with --data-dir",
                dir.display()
            )
        })?;
        if !Secret::path_in(dir).exists() {
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
        strength(tokens),
    )?;
    let secret = secrets.first().context("there is no secret")?;
    let token = mint(
        secret,
        id.as_str(),
        arguments.name.as_deref(),
        arguments.email.as_deref(),
        arguments.picture.as_deref(),
        Duration::from_secs(arguments.ttl),
    )
    .context("the token would be longer than 8 KiB; shorten the claims")?;
    say!("{token}");
    Ok(())
}

fn inspect(arguments: &InspectToken) -> Result<()> {
    let given = read(arguments.token.as_deref())?;
    let given = given.trim();
    let token = bearer(given).unwrap_or(given);
    let (header, claims) = peek(token).context("this is no JSON Web Token")?;
    let verdict = verifier(arguments)?.examine(token);
    let ends = verdict.as_ref().ok().and_then(|claims| claims.expires_at);
    if arguments.json {
        let user = verdict.as_ref().ok().map(|claims| &claims.user_id);
        let cause = verdict.as_ref().err();
        let refusal = cause.map(|cause| AuthError::from(cause).to_string());
        let cause = cause.map(ToString::to_string);
        let report = json!({
            "ok": verdict.is_ok(), "userId": user, "refusal": refusal, "cause": cause, "header": header, "claims": claims,
        });
        say!("{report}");
    } else {
        say!("header  {header}");
        say!("claims  {claims:#}");
        if let Ok(claims) = &verdict {
            let ends = ends.and_then(|end| i64::try_from(end).ok());
            let ends = ends.map_or("and never ends".to_owned(), |end| {
                format!("until {}", Timestamp(end.saturating_mul(1000)))
            });
            say!("valid   for user {}, {ends}", claims.user_id);
        }
    }
    match verdict {
        Ok(_) => Ok(()),
        Err(cause) => bail!("a server with these keys refuses it: {cause}"),
    }
}

/// From standard input where a shell's history is not to know it.
fn read(argument: Option<&str>) -> Result<String> {
    match argument {
        Some(token) if token != "-" => Ok(token.to_owned()),
        _ => {
            let mut text = String::new();
            let most = MAX_TOKEN as u64 + 100;
            std::io::stdin().take(most).read_to_string(&mut text)?;
            Ok(text)
        }
    }
}

/// The keys of the server, none of which is made here.
fn verifier(arguments: &InspectToken) -> Result<Verifier> {
    let (tokens, data_dir) = (&arguments.tokens, &arguments.data_dir);
    let has_own = !tokens.verifies_only() && Secret::path_in(data_dir).exists();
    let secrets = if tokens.gives_secret() || has_own {
        let (flags, files) = (&tokens.jwt_secret, &tokens.jwt_secret_file);
        Secret::load(flags, files, data_dir, strength(tokens))?
    } else {
        Vec::new()
    };
    let public = PublicKey::load(&tokens.jwt_public_key_file)?;
    let set = tokens.jwks_file.as_deref().map(KeySet::open).transpose()?;
    if secrets.is_empty() && public.is_empty() && set.is_none() {
        bail!(
            "there is no key to check it with: {} has no secret; name its --data-dir or give a key",
            data_dir.display()
        );
    }
    Ok(Verifier::new(secrets, expiry(tokens), CLOCK_LEEWAY)
        .with_public_keys(public)
        .with_key_set(set.map(Arc::new)))
}
