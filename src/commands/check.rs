//! `check`: whether the server would start with these flags, without starting it.

use anyhow::{Result, bail};
use serde_json::json;

use super::output::say;
use crate::config::Check;
use crate::server::{self, Finding};

/// Prints what was found, a line each, and fails if anything would keep the server from starting.
pub fn check(arguments: &Check) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let findings = {
        // A socket can only be made where a runtime is.
        let _inside = runtime.enter();
        server::check(&arguments.serve)
    };
    let wrong = findings.iter().filter(|one| one.outcome.is_err()).count();
    if arguments.json {
        say!("{}", json!({ "ok": wrong == 0, "checks": rows(&findings) }));
    } else {
        for finding in &findings {
            let subject = finding.subject;
            match &finding.outcome {
                Ok(how) => say!("ok      {subject}: {how}"),
                Err(why) => say!("WRONG   {subject}: {why}"),
            }
            if let Some(warning) = finding.warning {
                say!("warning {subject}: {warning}");
            }
        }
    }
    if wrong > 0 {
        bail!("the server would not start with these flags");
    }
    Ok(())
}

fn rows(findings: &[Finding]) -> Vec<serde_json::Value> {
    let row = |finding: &Finding| {
        let (is_ok, text) = match &finding.outcome {
            Ok(how) => (true, how.clone()),
            Err(why) => (false, why.to_string()),
        };
        json!({ "subject": finding.subject, "ok": is_ok, "text": text, "warning": finding.warning })
    };
    findings.iter().map(row).collect()
}
