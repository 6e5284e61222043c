//! Reports: about which chat one of a person is, and reading many of them.

use super::*;
use crate::id::ReportId;
use crate::model::{ReportReason, ReportStatus};

fn about(user: &str) -> NewReport {
    NewReport {
        about: Reported::User(id(user)),
        reason: ReportReason::Spam,
        text: String::new(),
    }
}

#[tokio::test]
async fn a_report_of_a_person_is_about_the_chat_that_was_used_last() {
    let fixture = fixture().await;
    let buyer = as_user("buyer");
    let denied = fixture.chat.report(&buyer, about("seller")).await;
    assert_eq!(denied.unwrap_err(), Error::AccessDenied);
    let inquiry = fixture.open().await;
    let open = async |with: &str| {
        let opened = fixture.chat.open_chat(&buyer, direct(with)).await;
        opened.unwrap().0.chat.id
    };
    let (direct, other) = (open("seller").await, open("stranger").await);
    for used in [inquiry, direct, inquiry] {
        fixture.send("buyer", used, "Hello").await.unwrap();
        fixture.send("buyer", other, "Hello").await.unwrap();
        // The buyer has more chats than the seller: either list is as good.
        for (by, of) in [("buyer", "seller"), ("seller", "buyer")] {
            let report = fixture.chat.report(&as_user(by), about(of)).await.unwrap();
            assert_eq!(report.chat, Some(used), "{by} reports {of}");
        }
    }
    let stranger = as_user("stranger");
    let denied = fixture.chat.report(&stranger, about("seller")).await;
    assert_eq!(denied.unwrap_err(), Error::AccessDenied);
}

#[tokio::test]
async fn one_search_looks_at_so_many_reports_and_can_be_gone_on_with() {
    let fixture = fixture().await;
    fixture.open().await;
    let (buyer, mut made) = (as_user("buyer"), Vec::new());
    for _ in 0..10 {
        let report = fixture.chat.report(&buyer, about("seller")).await;
        made.push(report.unwrap().id);
    }
    for number in [1, 9] {
        let judged = fixture
            .chat
            .judge_report(made[number], ReportStatus::Dismissed, None);
        judged.await.unwrap();
    }
    let found = async |status, after: Option<ReportId>, limit| {
        let found = fixture.chat.reports(status, after, limit).await.unwrap();
        let ids: Vec<ReportId> = found.rows.iter().map(|report| report.id).collect();
        (ids, found.next)
    };
    // A test looks at four at a time.
    let dismissed = Some(ReportStatus::Dismissed);
    let (first, next) = found(dismissed, None, 50).await;
    assert_eq!((first, next), (vec![made[1]], Some(made[3])));
    assert_eq!(found(dismissed, next, 50).await, (vec![], Some(made[7])));
    let last = found(dismissed, Some(made[7]), 50).await;
    assert_eq!(last, (vec![made[9]], None));
    let open = found(Some(ReportStatus::Open), None, 2).await;
    assert_eq!(open, (vec![made[0], made[2]], Some(made[2])));
    let all = found(None, Some(made[7]), 50).await;
    assert_eq!(all, (vec![made[8], made[9]], None));
}
