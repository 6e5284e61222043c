//! The files of imported messages: those of the original taken as uploads are, without the places in
//! them, those of an export under the names they have.
//! A crash between a file and its message leaves nothing for good.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::draft::{FileDraft, MessageDraft};
use super::error::Error;
use super::import::Writing;
use super::original::note;
use crate::id::{MessageId, UserId};
use crate::media::{self, CopyError, MediaError, Received};
use crate::model::{Attachment, MessageKind};
use crate::store;

/// Files that are told; all are counted.
const TOLD: usize = 100;

impl Writing<'_> {
    /// Puts the files of these messages in their place. Until its message is stored, each is one to be removed.
    pub(super) async fn fetch(&mut self, messages: &mut [MessageDraft]) -> Result<(), Error> {
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        // The jobs under way may be about the same messages.
        self.wait_until(0).await?;
        let senders: Vec<UserId> = messages.iter().map(|one| one.sender.clone()).collect();
        // Of each message that is stored, or that will be without its file because its sender was erased: whether it is deleted, and
        // whether it has its file.
        let stored: Vec<Option<(bool, bool)>> = self
            .store
            .read(move |tables| {
                let stored = ids.iter().zip(&senders).map(|(id, sender)| {
                    let stored = tables.find_message(*id)?;
                    if stored.is_none() && tables.erased(sender)?.is_some() {
                        return Ok(Some((true, false)));
                    }
                    Ok(stored.map(|stored| (stored.deleted, stored.attachment.is_some())))
                });
                stored.collect::<Result<_, store::Error>>()
            })
            .await?;
        let (arrived, doomed) = self.sift(messages, stored).await?;
        self.store
            .write(move |tx| {
                for name in &doomed {
                    if tx.upload(name)?.is_none() {
                        tx.doom_file(name);
                    }
                }
                Ok::<_, store::Error>(())
            })
            .await?;
        self.place(messages, arrived).await?;
        for file in messages.iter().filter_map(MessageDraft::attachment) {
            self.adopt(file)?;
        }
        File::open(&self.import.media_dir)
            .and_then(|directory| directory.sync_all())
            .map_err(Error::file(&self.import.media_dir))
    }

    /// Receives the files that are needed, and drops from the messages those that are not. Answers what arrived, and the names of all
    /// files that are to be placed.
    async fn sift(
        &mut self,
        messages: &mut [MessageDraft],
        stored: Vec<Option<(bool, bool)>>,
    ) -> Result<(Vec<(usize, Received)>, Vec<String>), Error> {
        let mut arrived: Vec<(usize, Received)> = Vec::new();
        let mut doomed = Vec::new();
        for (at, (message, stored)) in messages.iter_mut().zip(stored).enumerate() {
            match (message.file.take(), stored) {
                (None, _) | (_, Some((true, _))) | (Some(FileDraft::Named(_)), Some((_, true))) => {
                }
                (Some(FileDraft::Named(name)), _) => {
                    if let Some(received) = self.receive(&name).await? {
                        doomed.push(received.stored().name.clone());
                        arrived.push((at, received));
                    }
                }
                (Some(FileDraft::Known(file)), _) => {
                    // One that is there already is not ours to remove.
                    if self.import.media.is_some() && !self.is_there(&file) {
                        doomed.push(file.name.clone());
                    }
                    message.file = Some(FileDraft::Known(file));
                }
            }
        }
        Ok((arrived, doomed))
    }

    /// Gives what arrived its name, for good.
    async fn place(
        &mut self,
        messages: &mut [MessageDraft],
        arrived: Vec<(usize, Received)>,
    ) -> Result<(), Error> {
        for (at, received) in arrived {
            let stored = received.place().await.map_err(|why| self.unplaced(why))?;
            self.imported.files += 1;
            messages[at].kind = match stored.kind {
                media::Kind::Image => MessageKind::Image,
                media::Kind::Video => MessageKind::Video,
            };
            messages[at].file = Some(FileDraft::Known(Attachment {
                name: stored.name,
                mime: stored.mime.to_owned(),
                size: stored.size,
                crc32: stored.crc32,
                width: stored.shown_size.map(|(width, _)| width),
                height: stored.shown_size.map(|(_, height)| height),
            }));
        }
        Ok(())
    }

    /// Takes a file of the original as an upload is taken: by its bytes, under a new name.
    async fn receive(&mut self, name: &str) -> Result<Option<Received>, Error> {
        let Some(directory) = &self.import.media else {
            note(
                &mut self.imported.notes,
                "media messages without their file; run again with --media",
            );
            return Ok(None);
        };
        let path = directory.join(name);
        let source = match File::open(&path) {
            _ if matches!(name, "" | "." | "..") => None,
            Ok(source) if path.is_file() => Some(source),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file(&path)(error));
            }
            _ => None,
        };
        let Some(mut source) = source else {
            self.lost(&path, "it is not there");
            return Ok(None);
        };
        let mut upload = self.media.begin();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = io::Read::read(&mut source, &mut buffer).map_err(Error::file(&path))?;
            if count == 0 {
                break;
            }
            match upload.write(&buffer[..count]).await {
                Ok(()) => {}
                Err(MediaError::Unsupported) => {
                    self.lost(&path, "it is no picture or video that is taken");
                    return Ok(None);
                }
                Err(error) => return Err(self.unplaced(error)),
            }
        }
        match upload.finish().await {
            Ok(received) => Ok(Some(received)),
            Err(MediaError::Unsupported) => {
                self.lost(&path, "it is no picture or video that is taken");
                Ok(None)
            }
            Err(MediaError::Damaged(why)) => {
                self.lost(
                    &path,
                    &format!("it is damaged, and nobody can tell whether it says where it was made ({why}); --keep-exif takes it as it is"),
                );
                Ok(None)
            }
            Err(error) => Err(self.unplaced(error)),
        }
    }

    /// Makes sure that a file that has its name already is there.
    fn adopt(&mut self, file: &Attachment) -> Result<(), Error> {
        if self.is_there(file) {
            return Ok(());
        }
        let to = &self.import.media_dir;
        let Some(from) = &self.import.media else {
            note(
                &mut self.imported.notes,
                "files to be put into the media directory; run again with --media, or copy them",
            );
            return Ok(());
        };
        match media::copy(&file.name, from, to, file.size, file.crc32) {
            Ok(()) => self.imported.files += 1,
            Err(CopyError::Io(name, source)) => {
                return Err(Error::File {
                    path: to.join(name),
                    source,
                });
            }
            Err(why) => {
                let from = from.clone();
                self.lost(&from, &why.to_string());
            }
        }
        Ok(())
    }

    fn is_there(&self, file: &Attachment) -> bool {
        let found = fs::metadata(self.import.media_dir.join(&file.name));
        found.is_ok_and(|found| found.len() == file.size)
    }

    fn lost(&mut self, path: &Path, why: &str) {
        self.imported.missing_files += 1;
        if self.imported.told.len() < TOLD {
            self.imported
                .told
                .push(format!("{}: {why}", path.display()));
        }
    }

    fn unplaced(&self, why: MediaError) -> Error {
        let source = match why {
            MediaError::Io(source) | MediaError::Full(source) => source,
            other => io::Error::other(other.to_string()),
        };
        Error::file(&self.import.media_dir)(source)
    }
}
