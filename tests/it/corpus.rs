//! Runs the fuzz targets' seeds, which hold the bytes of published advisories and of the behaviour table, and what fuzzing found.

use std::path::Path;

use jivchat::{engineio, journal, media};

#[path = "../fuzz/fuzz_targets/damage.rs"]
mod damage;
#[path = "../fuzz/fuzz_targets/decoders.rs"]
mod decoders;

fn each_seed(target: &str, at_least: usize, run: impl Fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let seeds: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(seeds.len() >= at_least, "the corpus of {target} is gone");
    for seed in seeds {
        run(&seed);
    }
}

fn each_text(target: &str, at_least: usize, run: impl Fn(&str)) {
    each_seed(target, at_least, |seed| {
        run(&String::from_utf8_lossy(seed));
    });
}

#[test]
fn engineio_seeds() {
    each_text("engineio_packet", 13, decoders::engineio_packet);
    each_seed("engineio_payload", 20, decoders::engineio_payload);
    each_seed("websocket_fragments", 6, engineio::fuzzing::fragments);
    each_text("http_query", 7, engineio::fuzzing::query);
}

#[test]
fn socketio_seeds() {
    each_text("socketio_packet", 20, decoders::socketio_packet);
}

#[test]
fn journal_seeds() {
    each_seed("journal_frame", 11, journal::fuzzing::frame);
    each_seed("journal_damage", 10, damage::journal_damage);
}

#[test]
fn media_seeds() {
    each_text("media_range", 10, media::fuzzing::range);
    each_seed("media_detect", 9, media::fuzzing::detect);
    each_seed("media_form", 9, decoders::media_form);
    each_seed("media_metadata", 24, decoders::media_metadata);
}

#[test]
fn pet_seeds() {
    each_text("pet_document", 12, decoders::pet);
}
