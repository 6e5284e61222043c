//! Runs the fuzz targets' seeds, which hold the bytes of published advisories and of the behaviour table.

use std::path::Path;

#[path = "../fuzz/fuzz_targets/decoders.rs"]
mod decoders;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let seeds: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(seeds.len() > 20, "the corpus of {target} is gone");
    seeds
}

#[test]
fn engineio_payloads() {
    for seed in seeds("engineio_payload") {
        decoders::engineio_payload(&seed);
    }
}

#[test]
fn socketio_packets() {
    for seed in seeds("socketio_packet") {
        decoders::socketio_packet(&String::from_utf8_lossy(&seed));
    }
}

#[test]
fn media_metadata() {
    for seed in seeds("media_metadata") {
        decoders::media_metadata(&seed);
    }
}
