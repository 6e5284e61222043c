//! Who is online while connections come and go, in paused time.

use super::*;

/// Waits until the buyer hears of a change of presence; whether it is one to online.
async fn hears(fixture: &mut Fixture) -> bool {
    let heard = async {
        loop {
            let event = fixture.events.recv().await.unwrap();
            if let Event::PresenceChanged { user, audience, .. } = event {
                return (user, audience);
            }
        }
    };
    let heard = tokio::time::timeout(Duration::from_hours(1), heard).await;
    assert_eq!(heard.unwrap(), (id("seller"), vec![id("buyer")]));
    fixture.chat.presence().is_online(&id("seller"))
}

/// Whether the next change of presence that the buyer hears of is a change to online; `None` when there is none.
fn told(fixture: &mut Fixture) -> Option<bool> {
    while let Ok(event) = fixture.events.try_recv() {
        if let Event::PresenceChanged { user, audience, .. } = event {
            assert_eq!((user, audience), (id("seller"), vec![id("buyer")]));
            return Some(fixture.chat.presence().is_online(&id("seller")));
        }
    }
    None
}

/// A seller whom a buyer watches, and the task that gives up who was lost.
async fn watched() -> (Fixture, tokio::task::JoinHandle<()>) {
    let mut fixture = fixture().await;
    fixture.open().await;
    fixture.chat.socket_connected(&id("buyer")).await;
    while fixture.events.try_recv().is_ok() {}
    fixture.chat.socket_connected(&id("seller")).await;
    assert!(hears(&mut fixture).await);
    let service = fixture.chat.clone();
    let giving_up = tokio::spawn(async move { service.give_up_lost().await });
    (fixture, giving_up)
}

/// Lets time pass, and whatever is due in it happen.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
    // The task that was woken reads the store on a thread of its own.
    for _ in 0..100 {
        tokio::task::yield_now().await;
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_in_time_was_never_away() {
    let (mut fixture, giving_up) = watched().await;
    let seller = id("seller");
    for _ in 0..3 {
        fixture.chat.socket_lost(&seller).await;
        pass(GRACE.mul_f32(0.9)).await;
        assert!(fixture.chat.presence().is_online(&seller));
        fixture.chat.socket_connected(&seller).await;
        pass(GRACE.mul_f32(0.9)).await;
        assert!(fixture.chat.presence().is_online(&seller));
    }
    assert_eq!(told(&mut fixture), None, "nobody saw anything of it");
    giving_up.abort();
}

#[tokio::test(start_paused = true)]
async fn who_does_not_come_back_is_offline_when_the_grace_is_over() {
    let (mut fixture, giving_up) = watched().await;
    let seller = id("seller");
    fixture.chat.socket_lost(&seller).await;
    pass(GRACE.mul_f32(0.9)).await;
    assert_eq!(told(&mut fixture), None);
    assert!(!hears(&mut fixture).await);
    assert_eq!(told(&mut fixture), None, "once");
    giving_up.abort();
}

#[tokio::test(start_paused = true)]
async fn the_last_of_several_devices_decides() {
    let (mut fixture, giving_up) = watched().await;
    let seller = id("seller");
    fixture.chat.socket_connected(&seller).await;
    fixture.chat.socket_connected(&seller).await;
    fixture.chat.socket_lost(&seller).await;
    fixture.chat.socket_disconnected(&seller).await;
    pass(GRACE * 3).await;
    assert!(fixture.chat.presence().is_online(&seller), "one is left");
    assert_eq!(told(&mut fixture), None);
    fixture.chat.socket_disconnected(&seller).await;
    assert!(!hears(&mut fixture).await, "a goodbye has no grace");
    giving_up.abort();
}

#[tokio::test(start_paused = true)]
async fn each_loss_has_the_whole_grace() {
    let (mut fixture, giving_up) = watched().await;
    let seller = id("seller");
    fixture.chat.socket_lost(&seller).await;
    pass(GRACE / 2).await;
    fixture.chat.socket_connected(&seller).await;
    fixture.chat.socket_lost(&seller).await;
    // The first loss would be given up now.
    pass(GRACE.mul_f32(0.9)).await;
    assert!(fixture.chat.presence().is_online(&seller));
    assert_eq!(fixture.chat.presence().count(), 2);
    assert_eq!(told(&mut fixture), None);
    pass(GRACE.mul_f32(0.2)).await;
    assert_eq!(told(&mut fixture), Some(false));
    assert_eq!(fixture.chat.presence().count(), 1);
    giving_up.abort();
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_and_says_goodbye_is_offline_at_once() {
    let (mut fixture, giving_up) = watched().await;
    let seller = id("seller");
    // The phone loses its network; its app comes back and is closed.
    fixture.chat.socket_lost(&seller).await;
    fixture.chat.socket_connected(&seller).await;
    fixture.chat.socket_disconnected(&seller).await;
    assert_eq!(told(&mut fixture), Some(false));
    pass(GRACE * 3).await;
    assert_eq!(told(&mut fixture), None, "once");
    giving_up.abort();
}

/// The presence of the seller as it is said to the buyer: shown again, or hidden.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Blocked(bool),
    Hidden,
    Shown,
}

fn said(fixture: &mut Fixture) -> Vec<Said> {
    let mut said = Vec::new();
    while let Ok(event) = fixture.events.try_recv() {
        match event {
            Event::UserBlocked { is_blocked, .. } => said.push(Said::Blocked(is_blocked)),
            Event::PresenceHidden { user, audience } => {
                assert_eq!((user, audience), (id("seller"), vec![id("buyer")]));
                said.push(Said::Hidden);
            }
            Event::PresenceChanged { user, audience } => {
                assert_eq!((user, audience), (id("seller"), vec![id("buyer")]));
                said.push(Said::Shown);
            }
            _ => {}
        }
    }
    said
}

#[tokio::test]
async fn what_a_block_hides_leaves_in_the_order_of_commits() {
    let mut fixture = fixture().await;
    fixture.open().await;
    fixture.chat.socket_connected(&id("seller")).await;
    fixture.chat.socket_connected(&id("buyer")).await;
    while fixture.events.try_recv().is_ok() {}
    let (chat, seller) = (fixture.chat.clone(), as_user("seller"));
    for round in 0..20 {
        let (blocked, lifted, again) = tokio::join!(
            chat.block_user(&seller, id("buyer")),
            chat.unblock_user(&seller, id("buyer")),
            chat.block_user(&seller, id("buyer")),
        );
        blocked.and(again).unwrap();
        lifted.unwrap();
        let heard = said(&mut fixture);
        let pair = |is_blocked: bool| {
            let shown = if is_blocked {
                Said::Hidden
            } else {
                Said::Shown
            };
            [Said::Blocked(is_blocked), shown]
        };
        let expected: Vec<Said> = [true, false, true].into_iter().flat_map(pair).collect();
        assert_eq!(heard, expected, "round {round}");
        chat.unblock_user(&seller, id("buyer")).await.unwrap();
        assert_eq!(said(&mut fixture), pair(false));
    }
    // A stranger learns nothing of who blocks them.
    chat.block_user(&seller, id("stranger")).await.unwrap();
    assert_eq!(said(&mut fixture), [Said::Blocked(true)]);
}

#[tokio::test]
async fn who_is_blocked_by_the_time_it_is_told_does_not_hear_of_it() {
    let fixture = fixture().await;
    fixture.open().await;
    let (chat, seller) = (&fixture.chat, id("seller"));
    chat.socket_connected(&seller).await;
    let everybody = vec![id("buyer"), id("stranger")];
    let told = chat.presence_told(seller.clone(), everybody.clone());
    assert_eq!(told.await.unwrap().audience, everybody);
    let by = as_user("seller");
    chat.block_user(&by, id("buyer")).await.unwrap();
    chat.socket_disconnected(&seller).await;
    let told = chat.presence_told(seller.clone(), everybody.clone());
    let told = told.await.unwrap();
    assert_eq!(
        (told.audience, told.is_online),
        (vec![id("stranger")], false)
    );
    assert!(told.last_seen.is_some());
    chat.unblock_user(&by, id("buyer")).await.unwrap();
    let told = chat.presence_told(seller, everybody.clone()).await.unwrap();
    assert_eq!(told.audience, everybody);
}

#[tokio::test(start_paused = true)]
async fn who_comes_and_goes_all_the_time_is_told_of_only_now_and_then() {
    let (mut fixture, giving_up) = watched().await;
    let seller = id("seller");
    let mut changes = 0;
    for _ in 0..100 {
        fixture.chat.socket_disconnected(&seller).await;
        fixture.chat.socket_connected(&seller).await;
        while told(&mut fixture).is_some() {
            changes += 1;
        }
    }
    // A burst of partings, and each return from one.
    assert_eq!(changes, 10);
    fixture.chat.socket_disconnected(&seller).await;
    assert_eq!(told(&mut fixture), None);
    assert!(!hears(&mut fixture).await, "who stays away is told of");
    giving_up.abort();
}
