//! The part of a check that is about blocks of people and about reports.

use super::check::{Check, user_of};
use super::error::Error;
use super::keys::{self, Tree};
use crate::model::{Report, ReportStatus, Timestamp};

impl Check<'_> {
    pub(super) fn user_blocks(&mut self) -> Result<(), Error> {
        self.each(Tree::UserBlocks, |check, key, _: Timestamp| {
            let Some((user, other)) = keys::read_pair(key) else {
                check
                    .findings
                    .problem(|| "a block stands under no two users".to_owned());
                return Ok(());
            };
            check
                .findings
                .require(user != other, || format!("{user} has blocked themselves"));
            let is_erased = check.erased.contains(&user);
            check.findings.require(!is_erased, || {
                format!("{user} is erased and still blocks somebody")
            });
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn reports(&mut self) -> Result<(), Error> {
        let (mut open, mut people) = (0, 0);
        self.each(Tree::Reports, |check, key, report: Report| {
            let id = report.id;
            check.findings.require(key == id.as_bytes(), || {
                format!("report {id} stands under another id")
            });
            if report.status == ReportStatus::Open {
                open += 1;
                let listed = check.index.get(Tree::OpenReports, key)?.is_some();
                check
                    .findings
                    .require(listed, || format!("report {id} is open and not listed so"));
            }
            for user in report.people() {
                people += 1;
                let key = keys::report_of(user, id);
                let listed = check.index.get(Tree::ReportsOf, &key)?.is_some();
                check.findings.require(listed, || {
                    format!("report {id} cannot be found by {user}, of whom it is")
                });
            }
            let mut cleaned = report.clone();
            for user in report.people() {
                if check.erased.contains(user) {
                    cleaned.forget(user);
                    check.findings.require(cleaned == report, || {
                        format!("report {id} carries something of {user}, who is erased")
                    });
                }
            }
            Ok(())
        })?;
        for (tree, expected) in [(Tree::OpenReports, open), (Tree::ReportsOf, people)] {
            let found = self.index.count(tree)?;
            self.findings.require(found == expected, || {
                format!("`{}` has {found} rows instead of {expected}", tree.name())
            });
        }
        for row in self.index.rows_after(Tree::ReportsOf, None) {
            let (key, _) = row?;
            let user = key.iter().position(|byte| *byte == 0);
            let named = user.and_then(|end| user_of(&key[..end])).is_some();
            self.findings
                .require(named, || "a report stands under no user".to_owned());
        }
        Ok(())
    }
}
