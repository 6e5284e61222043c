//! Counts the frames of each websocket message as they are read, because tungstenite bounds a message's bytes but not the number of
//! its fragments. Sees frame headers only.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A websocket's byte stream that fails to read once a message has more than `max` frames.
#[derive(Debug)]
pub(super) struct FragmentLimit<S> {
    inner: S,
    max: usize,
    frames: usize,
    expects: Expects,
}

/// The read error of a message in too many pieces.
#[derive(Debug, thiserror::Error)]
#[error("too many fragments in one message")]
pub(super) struct TooManyFragments;

#[derive(Debug, Clone, Copy)]
enum Expects {
    Opcode,
    Length,
    ExtendedLength { bytes: u8, value: u64, masked: bool },
    Payload { bytes: u64 },
}

impl<S> FragmentLimit<S> {
    pub(super) fn new(inner: S, max: usize) -> Self {
        Self {
            inner,
            max,
            frames: 0,
            expects: Expects::Opcode,
        }
    }

    pub(super) fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    pub(super) fn inspect(&mut self, mut bytes: &[u8]) -> Result<(), TooManyFragments> {
        while let Some((&first, rest)) = bytes.split_first() {
            if let Expects::Payload { bytes: left } = self.expects {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[here..];
                self.expects = payload(left - here as u64);
            } else {
                self.header(first)?;
                bytes = rest;
            }
        }
        Ok(())
    }

    fn header(&mut self, byte: u8) -> Result<(), TooManyFragments> {
        self.expects = match self.expects {
            Expects::Opcode => {
                match byte & 0x0f {
                    0 => self.frames += 1,
                    1..=7 => self.frames = 1,
                    // Control frames may come between the fragments of a message.
                    _ => {}
                }
                if self.frames > self.max {
                    return Err(TooManyFragments);
                }
                Expects::Length
            }
            Expects::Length => {
                let masked = byte & 0x80 != 0;
                match byte & 0x7f {
                    126 => Expects::ExtendedLength {
                        bytes: 2,
                        value: 0,
                        masked,
                    },
                    127 => Expects::ExtendedLength {
                        bytes: 8,
                        value: 0,
                        masked,
                    },
                    length => body(u64::from(length), masked),
                }
            }
            Expects::ExtendedLength {
                bytes,
                value,
                masked,
            } => {
                let value = value << 8 | u64::from(byte);
                match bytes {
                    1 => body(value, masked),
                    _ => Expects::ExtendedLength {
                        bytes: bytes - 1,
                        value,
                        masked,
                    },
                }
            }
            Expects::Payload { .. } => unreachable!("payload bytes are skipped by the caller"),
        };
        Ok(())
    }
}

/// What follows a header: the mask, if any, and the payload.
fn body(length: u64, masked: bool) -> Expects {
    payload(length.saturating_add(if masked { 4 } else { 0 }))
}

fn payload(bytes: u64) -> Expects {
    match bytes {
        0 => Expects::Opcode,
        bytes => Expects::Payload { bytes },
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FragmentLimit<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        Poll::Ready(
            this.inspect(&buffer.filled()[before..])
                .map_err(io::Error::other),
        )
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FragmentLimit<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload {
            0..=125 => bytes.push(0x80 | u8::try_from(payload).unwrap()),
            126..=65_535 => {
                bytes.push(0xfe);
                bytes.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0xff);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        // Payload bytes that would be continuation headers if the count lost its place.
        bytes.extend(vec![0; payload + 4]);
        bytes
    }

    fn accepts(max: usize, stream: &[u8], chunk: usize) -> bool {
        let mut limit = FragmentLimit::new((), max);
        stream.chunks(chunk).all(|part| limit.inspect(part).is_ok())
    }

    #[test]
    fn the_limit_is_exact_whatever_the_chunks() {
        let mut message = frame(0x01, 200);
        message.extend(frame(0x00, 70_000));
        message.extend(frame(0x89, 3));
        message.extend(frame(0x80, 0));
        let two = [message.clone(), message].concat();
        for chunk in [1, 2, 7, 4096, usize::MAX >> 1] {
            assert!(accepts(3, &two, chunk), "{chunk}");
            assert!(!accepts(2, &two, chunk), "{chunk}");
        }
    }

    #[test]
    fn an_absurd_length_does_not_overflow() {
        let mut bytes = vec![0x82, 0xff];
        bytes.extend([0xff; 8]);
        bytes.extend([0; 100]);
        assert!(accepts(1, &bytes, 3));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..500), chunk in 1_usize..20) {
            let _ = accepts(3, &bytes, chunk);
        }
    }
}
