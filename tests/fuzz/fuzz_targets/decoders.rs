//! What both the fuzzer and the corpus test do with some bytes: decode them, and check what a decoder promises.

use std::io::Cursor;

use bytes::Bytes;
use jivchat::engineio::payload;
use jivchat::media::{MediaType, metadata};
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

/// A picture or film. What is left of it must be no longer, and have nothing left to be taken out.
pub(crate) fn media_metadata(bytes: &[u8]) {
    let Some((cleaned, kind)) = cleaned(bytes.to_vec()) else {
        return;
    };
    assert!(cleaned.len() <= bytes.len());
    let holds_no_places = matches!(
        kind,
        MediaType::Jpeg | MediaType::Png | MediaType::WebP | MediaType::Gif
    );
    // A table that points at another table may have undone a film; nobody shows it, and nobody learns from it.
    if let Some((again, same)) = cleaned_if(holds_no_places, &cleaned) {
        assert!(same != kind || again == cleaned);
    }
}

fn cleaned_if(wanted: bool, bytes: &[u8]) -> Option<(Vec<u8>, MediaType)> {
    wanted.then(|| cleaned(bytes.to_vec()))?
}

fn cleaned(bytes: Vec<u8>) -> Option<(Vec<u8>, MediaType)> {
    let kind = MediaType::detect(&bytes[..bytes.len().min(1024)])?;
    let mut file = Cursor::new(bytes);
    let examined = metadata::examine(kind, &mut file).ok()?;
    let length = examined.edits.apply(&mut file).unwrap();
    let mut bytes = file.into_inner();
    bytes.truncate(usize::try_from(length).unwrap());
    Some((bytes, kind))
}
