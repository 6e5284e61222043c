//! Reports, which of them are open, and which hold something of whom. It does not know who may report or read them.

use super::codec;
use super::error::Error;
use super::keys::{self, Tree};
use super::tables::{Sink, Source, Tables};
use crate::id::{ReportId, UserId};
use crate::model::{Report, ReportStatus};

impl<S: Source> Tables<S> {
    /// The report with this id.
    pub fn report(&self, id: ReportId) -> Result<Option<Report>, Error> {
        self.record(Tree::Reports, id.as_bytes())
    }

    /// All reports after this one, the oldest first.
    pub fn reports(&self, after: Option<ReportId>) -> impl Iterator<Item = Result<Report, Error>> {
        self.records(Tree::Reports, keys::reports_after(after))
    }

    /// The ids of the open reports after this one, the oldest first.
    pub fn open_reports(
        &self,
        after: Option<ReportId>,
    ) -> impl Iterator<Item = Result<ReportId, Error>> {
        let rows = self.0.range(Tree::OpenReports, keys::reports_after(after));
        rows.map(|row| report_at_end(Tree::OpenReports, &row?.0))
    }

    /// The ids of the reports that hold something of `user`, the oldest first.
    pub fn reports_of(
        &self,
        user: &UserId,
        after: Option<ReportId>,
    ) -> impl Iterator<Item = Result<ReportId, Error>> {
        let rows = self.0.range(Tree::ReportsOf, keys::reports_of(user, after));
        rows.map(|row| report_at_end(Tree::ReportsOf, &row?.0))
    }
}

impl<S: Sink> Tables<S> {
    /// Adds a report, or replaces it with one about the same people. It is stored without what the erased have said.
    pub fn put_report(&mut self, report: &Report) -> Result<(), Error> {
        let (id, mut report) = (report.id, report.clone());
        let people: Vec<UserId> = report.people().into_iter().cloned().collect();
        for user in people {
            if self.erased(&user)?.is_some() {
                report.forget(&user);
            }
            self.put_raw(Tree::ReportsOf, keys::report_of(&user, id), &[]);
        }
        if report.status == ReportStatus::Open {
            self.put_raw(Tree::OpenReports, id.as_bytes().to_vec(), &[]);
        } else {
            self.remove(Tree::OpenReports, id.as_bytes().to_vec());
        }
        self.put(Tree::Reports, id.as_bytes(), &report)
    }

    /// Takes what `user`, who is erased, has said out of at most `limit` reports after this one that hold something of them. Answers the
    /// last of these.
    pub fn forget_in_reports(
        &mut self,
        user: &UserId,
        after: Option<ReportId>,
        limit: usize,
    ) -> Result<Option<ReportId>, Error> {
        let ids = self.reports_of(user, after).take(limit);
        let ids: Vec<ReportId> = ids.collect::<Result<_, _>>()?;
        for &id in &ids {
            if let Some(mut report) = self.report(id)? {
                report.forget(user);
                self.put_report(&report)?;
            }
        }
        Ok(ids.last().copied())
    }
}

fn report_at_end(tree: Tree, key: &[u8]) -> Result<ReportId, Error> {
    let id = key.last_chunk::<12>().map(|id| ReportId::from(*id));
    id.ok_or_else(|| codec::unreadable(tree, "a key without a report".to_owned()))
}
