//! Blocks of people and reports: their bytes never change, and every way in which their rows can disagree is told.

use super::codec;
use super::keys::Tree;
use super::verify_tests::told_after;
use super::*;
use crate::id::{ChatId, ReportId, UserId};
use crate::model::{Erased, Evidence, MessageKind, Report, ReportReason, ReportStatus, Timestamp};

fn id(text: &str) -> UserId {
    text.parse().unwrap()
}

fn report(number: u8, chat: ChatId) -> Report {
    Report {
        id: [number; 12].into(),
        by: id("asha"),
        accused: id("rohan"),
        chat: Some(chat),
        message: Some([2; 12].into()),
        reason: ReportReason::AnimalWelfare,
        text: "look".to_owned(),
        evidence: vec![Evidence {
            message: [2; 12].into(),
            seq: 300,
            sender: id("rohan"),
            kind: MessageKind::Text,
            content: "no food".to_owned(),
            attachment: None,
            deleted: false,
            created_at: Timestamp(1000),
        }],
        created_at: Timestamp(2000),
        status: ReportStatus::Open,
        note: String::new(),
        judged_at: None,
    }
}

#[test]
fn version_1_is_frozen() {
    let report = report(1, [3; 12].into());
    let bytes = codec::encode(Tree::Reports, &report).unwrap();
    assert_eq!(
        codec::decode::<Report>(Tree::Reports, &bytes).unwrap(),
        report
    );
    let text = bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    assert_eq!(
        text,
        concat!(
            "01010101010101010101010101",
            "0461736861",
            "05726f68616e",
            "01030303030303030303030303",
            "01020202020202020202020202",
            "04",
            "046c6f6f6b",
            "01",
            "020202020202020202020202",
            "fb2c01",
            "05726f68616e",
            "01",
            "076e6f20666f6f64",
            "00",
            "00",
            "fbd007",
            "fba00f",
            "01",
            "00",
            "00",
        )
    );
    let block = codec::encode(Tree::UserBlocks, &Timestamp(1000)).unwrap();
    assert_eq!(block, [1, 0xfb, 0xd0, 0x07]);
}

#[tokio::test]
async fn blocks_and_reports_are_sound() {
    let told = told_after(|tx, chat| {
        tx.put_user_block(&id("asha"), &id("rohan"), Timestamp(1))?;
        tx.put_report(&report(1, chat))?;
        let mut judged = report(2, chat);
        tx.put_report(&judged)?;
        judged.status = ReportStatus::Dismissed;
        tx.put_report(&judged)
    });
    assert_eq!(told.await, [] as [&str; 0]);
}

#[tokio::test]
async fn every_disagreement_is_told() {
    type Change = fn(&mut Transaction<'_>, ChatId) -> Result<(), Error>;
    let changes: [(&str, Change); 10] = [
        ("a block stands under no two users", |tx, _| {
            tx.put(Tree::UserBlocks, b"asha", &Timestamp(1))
        }),
        ("asha has blocked themselves", |tx, _| {
            tx.put_user_block(&id("asha"), &id("asha"), Timestamp(1))
        }),
        ("asha is erased and still blocks somebody", |tx, _| {
            tx.put_user_block(&id("asha"), &id("rohan"), Timestamp(1))?;
            tx.remove_user(&id("asha"));
            let (at, finished) = (Timestamp(1), true);
            tx.put_erased(&id("asha"), Erased { at, finished })
        }),
        ("stands under another id", |tx, chat| {
            tx.put(Tree::Reports, &[9; 12], &report(1, chat))
        }),
        ("is open and not listed so", |tx, chat| {
            tx.put_report(&report(1, chat))?;
            tx.remove(Tree::OpenReports, vec![1; 12]);
            Ok(())
        }),
        ("`open_reports` has 1 rows instead of 0", |tx, _| {
            tx.put_raw(Tree::OpenReports, vec![1; 12], &[]);
            Ok(())
        }),
        ("cannot be found by rohan", |tx, chat| {
            tx.put_report(&report(1, chat))?;
            let key = keys::report_of(&id("rohan"), [1; 12].into());
            tx.remove(Tree::ReportsOf, key);
            Ok(())
        }),
        ("`reports_of` has 3 rows instead of 2", |tx, chat| {
            tx.put_report(&report(1, chat))?;
            let key = keys::report_of(&id("meera"), [1; 12].into());
            tx.put_raw(Tree::ReportsOf, key, &[]);
            Ok(())
        }),
        ("a report stands under no user", |tx, _| {
            tx.put_raw(Tree::ReportsOf, vec![b' ', 0, 1], &[]);
            Ok(())
        }),
        ("carries something of asha, who is erased", |tx, chat| {
            tx.put_report(&report(1, chat))?;
            tx.remove_user(&id("asha"));
            let (at, finished) = (Timestamp(1), true);
            tx.put_erased(&id("asha"), Erased { at, finished })
        }),
    ];
    for (expected, change) in changes {
        let told = told_after(change).await;
        let is_told = told.iter().any(|line| line.contains(expected));
        assert!(is_told, "{expected}: {told:?}");
    }
}

#[tokio::test]
async fn a_report_is_stored_without_what_the_erased_have_said() {
    let erase = |tx: &mut Transaction<'_>| {
        tx.remove_user(&id("asha"));
        let (at, finished) = (Timestamp(1), true);
        tx.put_erased(&id("asha"), Erased { at, finished })
    };
    let told = told_after(move |tx, chat| {
        erase(tx)?;
        tx.put_report(&report(1, chat))
    });
    assert_eq!(told.await, [] as [&str; 0]);
    let told = told_after(move |tx, chat| {
        for number in 1..=3 {
            tx.put_report(&report(number, chat))?;
        }
        erase(tx)?;
        let asha = id("asha");
        let last = tx.forget_in_reports(&asha, None, 2)?;
        assert_eq!(last, Some(ReportId::from([2; 12])));
        assert!(!tx.report([3; 12].into())?.unwrap().text.is_empty());
        let last = tx.forget_in_reports(&asha, last, 2)?;
        assert_eq!(last, Some(ReportId::from([3; 12])));
        assert_eq!(tx.forget_in_reports(&asha, last, 2)?, None);
        Ok(())
    });
    assert_eq!(told.await, [] as [&str; 0]);
}

#[tokio::test]
async fn reports_are_found_in_order_and_from_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let opened = super::tests::open(dir.path());
    let chat = ChatId::from([3; 12]);
    let store = &opened.0;
    let written = store.write(move |tx| {
        for number in [1, 2, 0x80, 0xee] {
            tx.put_report(&report(number, chat))?;
        }
        Ok::<_, Error>(())
    });
    written.await.unwrap();
    let after = |number: u8| Some([number; 12].into());
    let read = store.read(move |tables| {
        let all: Vec<_> = tables.reports(None).collect::<Result<_, _>>()?;
        let rest: Vec<_> = tables.open_reports(after(2)).collect::<Result<_, _>>()?;
        let rohan = id("rohan");
        let own = tables.reports_of(&rohan, after(0x80));
        let own: Vec<_> = own.collect::<Result<_, Error>>()?;
        Ok::<_, Error>((all.len(), rest, own))
    });
    let (all, rest, own) = read.await.unwrap();
    assert_eq!(all, 4);
    let last = ReportId::from([0xee; 12]);
    assert_eq!(rest, [ReportId::from([0x80; 12]), last]);
    assert_eq!(own, [last]);
    super::tests::close(opened);
}
