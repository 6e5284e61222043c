//! Files that are to go and cannot, and files that are about to come.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::chat::{Options, Profile};
use crate::media::Settings;
use crate::store::{self, Store};

struct House {
    disposal: Disposal,
    chat: Service,
    media: PathBuf,
    _dir: tempfile::TempDir,
}

fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    let options = store::Options {
        data_dir: dir.path().join("data"),
        cache: 8 << 20,
        queue: 64,
    };
    let (store, _) = Store::open(&options).unwrap();
    let (chat, _) = Service::new(store, Options::default());
    let path = dir.path().join("media");
    let media = Media::open(&path, Settings::with_max_file_size(10)).unwrap();
    House {
        disposal: Disposal::new(chat.clone(), Arc::new(media)),
        chat,
        media: path,
        _dir: dir,
    }
}

fn asha() -> UserId {
    "asha".parse().unwrap()
}

impl House {
    /// A file that no message shows, and nobody is about to: its upload was refused, say.
    async fn doomed(&self) -> (String, PathBuf) {
        let (name, path) = self.expected().await;
        self.disposal.file_has_arrived(&name);
        (name, path)
    }

    /// The name of an upload in flight.
    async fn expected(&self) -> (String, PathBuf) {
        let name = format!("chat-1-{:032x}.jpg", 1);
        self.disposal.expect_file(name.clone()).await.unwrap();
        let path = self.media.join(&name);
        (name, path)
    }

    async fn look(&self) {
        let nothing = Policy {
            content: None,
            media: None,
            orphans: None,
        };
        let looked = self.disposal.look(nothing, Timestamp::now()).await;
        looked.unwrap();
    }

    async fn put_asha(&self) -> Result<(), Error> {
        let profile = Profile {
            id: asha(),
            name: Some("Asha".to_owned()),
            email: None,
            picture: None,
            said_at: None,
        };
        self.chat.put_user(profile).await.map(drop)
    }
}

#[tokio::test]
async fn an_upload_in_flight_is_left_alone_and_what_is_left_of_one_is_not() {
    let house = house();
    let (name, path) = house.expected().await;
    fs::write(&path, "x").unwrap();
    house.look().await;
    house.disposal.erase_user(asha()).await.unwrap();
    assert!(path.exists());
    assert_eq!(
        house.chat.doomed_files().await.unwrap(),
        std::slice::from_ref(&name),
        "a crash would still leave it to the next start"
    );
    house.disposal.file_has_arrived(&name);
    house.look().await;
    assert!(!path.exists());
    assert!(house.chat.doomed_files().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_erasure_is_not_finished_while_a_file_stays() {
    let house = house();
    house.put_asha().await.unwrap();
    let (name, path) = house.doomed().await;
    fs::create_dir(&path).unwrap();
    for _ in 0..2 {
        let erased = house.disposal.erase_user(asha()).await;
        assert_eq!(erased, Err(Unfinished::FilesStay(1)));
        // Neither a look nor a start makes more of it, and neither fails.
        house.look().await;
        house.disposal.finish().await.unwrap();
        assert_eq!(house.chat.unfinished_erasures().await, Ok(vec![asha()]));
        assert_eq!(house.chat.doomed_files().await, Ok(vec![name.clone()]));
        assert_eq!(house.put_asha().await, Err(Error::Unavailable));
    }
    fs::remove_dir(&path).unwrap();
    house.look().await;
    assert_eq!(house.chat.unfinished_erasures().await, Ok(Vec::new()));
    assert_eq!(house.chat.doomed_files().await, Ok(Vec::new()));
    // Whose erasure was finished has no part in what another's file does.
    fs::create_dir(&path).unwrap();
    house.doomed().await;
    house.disposal.erase_user(asha()).await.unwrap();
    house.put_asha().await.unwrap();
}

#[tokio::test]
async fn a_file_is_not_forgotten_before_its_removal_is_synced() {
    let house = house();
    let (name, path) = house.doomed().await;
    fs::write(&path, "x").unwrap();
    // A volume that is not there: no file is found, and nothing can be synced.
    let elsewhere = house.media.with_file_name("elsewhere");
    fs::rename(&house.media, &elsewhere).unwrap();
    let stay = house.disposal.remove_files(vec![name.clone()]).await;
    assert_eq!(stay, std::slice::from_ref(&name));
    assert_eq!(house.chat.doomed_files().await, Ok(vec![name]));
    fs::rename(&elsewhere, &house.media).unwrap();
    house.look().await;
    assert!(!path.exists());
    assert_eq!(house.chat.doomed_files().await, Ok(Vec::new()));
}
