//! What both the fuzzer and the corpus test do with some bytes: decode them, and check what a decoder promises.

use bytes::Bytes;
use jivchat::engineio::payload;
use jivchat::socketio::packet::Packet;
use jivchat::socketio::{Event, json};

/// A POST body. What comes before the first bad packet must not depend on what follows it.
pub(crate) fn engineio_payload(body: &[u8]) {
    let decoded = payload::decode(body, 64);
    assert!(decoded.packets.len() <= 64);
    let more = [body, b"\x1eabc"].concat();
    let longer = payload::decode(&more, 65);
    if decoded.error.is_none() && !body.ends_with(b"\x1e") {
        assert_eq!(longer.packets, decoded.packets);
        assert!(longer.error.is_some());
    }
}

/// A text message, with as many attachments as it announces.
pub(crate) fn socketio_packet(text: &str) {
    let Ok(packet) = Packet::decode(text) else {
        return;
    };
    if json::check(packet.data, 64).is_err() {
        return;
    }
    let attachments = vec![Bytes::from_static(b"x"); packet.attachments.min(10)];
    let Ok(event) = Event::decode(packet.data, packet.id, &attachments, 256) else {
        return;
    };
    // What is passed on must be JSON again, and no deeper than before.
    let args = format!("[{}]", event.args());
    assert_eq!(json::check(&args, 64), Ok(()), "{args}");
    assert!(event.attachments().len() <= attachments.len());
    let again = format!(r#"["x",{}]"#, event.args());
    if !event.args().is_empty() && !event.attachments().is_empty() {
        let again = Event::decode(&again, None, event.attachments(), 256);
        assert_eq!(
            again.map(|again| again.args().to_owned()),
            Ok(event.args().to_owned())
        );
    }
}
