//! What both the fuzzer and the corpus test do with some bytes: decode them, and check what a decoder promises.

use std::io::Cursor;

use bytes::Bytes;
use jivchat::engineio::packet::{Frame, Message, Packet as EnginePacket};
use jivchat::engineio::payload;
use jivchat::media::{Media, MediaType, Settings, metadata, multipart};
use jivchat::pet_document;
use jivchat::socketio::packet::Packet;
use jivchat::socketio::{Event, json};

/// One Engine.IO packet: what is read of a message and sent again is read as the same.
pub(crate) fn engineio_packet(text: &str) {
    let Ok(EnginePacket::Message(message)) = EnginePacket::decode(text) else {
        return;
    };
    let frame = match &message {
        Message::Text(text) => Frame::message(text),
        Message::Binary(data) => Frame::binary(data.clone()),
    };
    let again = payload::decode(payload::encode(vec![frame]).as_bytes(), 2);
    // A separator inside a text ends a packet on long-polling; JSON never holds one.
    if !text.contains('\x1e') {
        assert_eq!(again.packets, [EnginePacket::Message(message)]);
    }
}

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
    let encoded = packet.encode();
    let message = encoded.strip_prefix('4').unwrap_or_default();
    assert_eq!(Packet::decode(message), Ok(packet), "{message}");
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

/// The document of a pet: what is kept of it can be read again, and is the same then.
pub(crate) fn pet(text: &str) {
    let id = || "pet-1".parse().expect("an id");
    let Ok(document) = serde_json::from_str(text) else {
        return;
    };
    let Ok(pet) = pet_document::read(id(), document) else {
        return;
    };
    let kept = serde_json::from_str(&pet.document).expect("what is kept is JSON");
    assert_eq!(pet_document::read(id(), kept), Ok(pet));
}

/// A form with a file, in pieces as small as its first byte says: nothing stays on the disk but what was taken.
pub(crate) fn media_form(bytes: &[u8]) {
    let Some((&piece, body)) = bytes.split_first() else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let media = Media::open(directory.path(), Settings::with_max_file_size(4096))
        .expect("a directory for media");
    let pieces: Vec<_> = body
        .chunks(usize::from(piece).max(1))
        .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let body = futures_util::stream::iter(pieces);
    let form = multipart::receive("multipart/form-data; boundary=X", body, &media);
    let form = runtime.block_on(form);
    if let Ok(form) = &form {
        assert!(
            form.content
                .as_ref()
                .is_none_or(|text| text.len() <= multipart::MAX_CONTENT)
        );
    }
    drop(form);
    let left = std::fs::read_dir(directory.path()).expect("the directory");
    assert_eq!(
        left.count(),
        0,
        "an upload that was not placed has left a file"
    );
}
