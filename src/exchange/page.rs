//! What a person reads of their chats: one JSON document in the shapes of the API, an HTML page, or plain text. A page asks
//! no other host for anything, runs nothing, and shows every text as text.

use std::fmt::{self, Display};
use std::io::{self, Write};

use serde::Serialize;

use super::when;
use crate::chat::{ChatDetails, MessageDetails};
use crate::model::{Timestamp, User};
use crate::view;

/// A document that is written in its own order.
pub(super) trait Page {
    fn begin(&mut self, out: &mut dyn Write, user: Option<&User>, now: Timestamp)
    -> io::Result<()>;
    fn chat(&mut self, out: &mut dyn Write, chat: &ChatDetails) -> io::Result<()>;
    fn message(&mut self, out: &mut dyn Write, message: &MessageDetails) -> io::Result<()>;
    fn end_chat(&mut self, out: &mut dyn Write) -> io::Result<()>;
    fn end(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

/// Chats and messages as the API shows them.
#[derive(Debug, Default)]
pub(super) struct Json {
    chats: u64,
    messages: u64,
}

/// An element of a list that is written bit by bit.
fn separator(written: &mut u64) -> &'static str {
    *written += 1;
    if *written > 1 { ",\n" } else { "\n" }
}

fn json(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)?)
}

impl Page for Json {
    fn begin(
        &mut self,
        out: &mut dyn Write,
        user: Option<&User>,
        now: Timestamp,
    ) -> io::Result<()> {
        let at = json(&when::Moment(now))?;
        write!(
            out,
            "{{\"format\":\"jivchat-document\",\"version\":1,\"exportedAt\":{at}"
        )?;
        if let Some(user) = user {
            write!(out, ",\n\"user\":{}", json(&view::user(user, false))?)?;
        }
        write!(out, ",\n\"chats\":[")
    }

    fn chat(&mut self, out: &mut dyn Write, chat: &ChatDetails) -> io::Result<()> {
        let chat = json(&view::chat(chat))?;
        let open = chat.strip_suffix('}').unwrap_or(&chat);
        self.messages = 0;
        write!(out, "{}{open},\"messages\":[", separator(&mut self.chats))
    }

    fn message(&mut self, out: &mut dyn Write, message: &MessageDetails) -> io::Result<()> {
        let message = json(&view::message(message))?;
        write!(out, "{}{message}", separator(&mut self.messages))
    }

    fn end_chat(&mut self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "]}}")
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "]}}")
    }
}

/// Text in HTML, in an element or in a quoted attribute.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // HTML has no way to write these.
                c if is_control(c) => f.write_str("\u{fffd}")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// What would move a terminal's cursor, colour it or turn the direction of the text around it.
fn is_control(character: char) -> bool {
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || character.is_control() && character != '\n' && character != '\t'
}

/// `2025-01-06 12:00:00 UTC`.
fn shown(moment: Timestamp) -> String {
    let text = json(&view::Time(moment)).unwrap_or_default();
    let text = text.trim_matches('"');
    match (text.get(..10), text.get(11..19)) {
        (Some(date), Some(time)) => format!("{date} {time} UTC"),
        _ => text.to_owned(),
    }
}

fn names(chat: &ChatDetails) -> String {
    let names = chat.participants.iter().map(|one| one.user.name.as_str());
    names.collect::<Vec<_>>().join(", ")
}

/// The pet's title, if the chat is about one.
fn title(chat: &ChatDetails) -> Option<String> {
    let pet: serde_json::Value = serde_json::from_str(&chat.pet.as_ref()?.document).ok()?;
    Some(pet.get("title")?.as_str()?.to_owned())
}

/// What stands beside a message's time.
fn remarks(message: &MessageDetails) -> String {
    let mut remarks = String::new();
    if message.message.edited {
        remarks.push_str(" (edited)");
    }
    for reaction in &message.message.reactions {
        remarks.push(' ');
        remarks.push_str(&reaction.emoji);
    }
    remarks
}

/// One page with its style inside.
#[derive(Debug)]
pub(super) struct Html {
    link: Option<String>,
}

impl Html {
    /// `link` and a file's name are where the file is, seen from the page.
    pub(super) fn new(link: Option<String>) -> Self {
        Self { link }
    }
}

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file:; media-src 'self' file:\">\n\
<meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>Chats</title>\n<style>\n\
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}\n\
h2{margin-top:3rem;border-bottom:1px solid #ccc}\n.m{margin:.75rem 0;overflow-wrap:anywhere}\n.m p{margin:0;white-space:pre-wrap}\n\
.t,blockquote{color:#666;font-size:.85rem}\nblockquote{margin:.25rem 0;padding-left:.75rem;border-left:3px solid #ccc;white-space:pre-wrap}\n\
img{display:block;max-width:20rem;max-height:20rem}\n</style>\n</head>\n<body>\n";

impl Page for Html {
    fn begin(
        &mut self,
        out: &mut dyn Write,
        user: Option<&User>,
        now: Timestamp,
    ) -> io::Result<()> {
        out.write_all(HEAD.as_bytes())?;
        if let Some(user) = user {
            writeln!(out, "<h1>{}</h1>\n<p>{}", Escaped(&user.name), user.id)?;
            for line in user.email.iter().chain(&user.picture) {
                write!(out, "<br>{}", Escaped(line))?;
            }
            writeln!(out, "</p>")?;
        }
        writeln!(out, "<p class=\"t\">Exported {}</p>", shown(now))
    }

    fn chat(&mut self, out: &mut dyn Write, chat: &ChatDetails) -> io::Result<()> {
        let kind = chat.chat.kind.as_str();
        writeln!(out, "<section>\n<h2>{}</h2>", Escaped(&names(chat)))?;
        write!(out, "<p class=\"t\">{kind} {}", chat.chat.id)?;
        if let Some(title) = title(chat) {
            write!(out, ", about {}", Escaped(&title))?;
        }
        writeln!(out, ", opened {}</p>", shown(chat.chat.created_at))
    }

    fn message(&mut self, out: &mut dyn Write, details: &MessageDetails) -> io::Result<()> {
        let message = &details.message;
        writeln!(
            out,
            "<div class=\"m\" id=\"{}\"><span class=\"t\"><b>{}</b> {}{}</span>",
            message.id,
            Escaped(&details.sender.name),
            shown(message.created_at),
            Escaped(&remarks(details)),
        )?;
        if let Some(parent) = &details.parent {
            let content = Escaped(&parent.message.content);
            writeln!(out, "<blockquote>{content}</blockquote>")?;
        }
        if let Some(file) = &message.attachment {
            let name = Escaped(&file.name);
            match &self.link {
                Some(link) if file.mime.starts_with("image/") => {
                    let link = Escaped(link);
                    writeln!(
                        out,
                        "<a href=\"{link}{name}\"><img loading=\"lazy\" alt=\"\" src=\"{link}{name}\"></a>"
                    )?;
                }
                Some(link) => writeln!(out, "<a href=\"{}{name}\">{name}</a>", Escaped(link))?,
                None => writeln!(out, "<span class=\"t\">{name}</span>")?,
            }
        }
        writeln!(out, "<p>{}</p></div>", Escaped(&message.content))
    }

    fn end_chat(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "</section>")
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "</body>\n</html>")
    }
}

/// Lines that a terminal can show.
#[derive(Debug)]
pub(super) struct Text;

/// Text without what a terminal would obey; later lines are indented.
struct Plain<'a>(&'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\n' => f.write_str("\n    ")?,
                '\r' => {}
                c if is_control(c) => f.write_str("\u{fffd}")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

impl Page for Text {
    fn begin(
        &mut self,
        out: &mut dyn Write,
        user: Option<&User>,
        now: Timestamp,
    ) -> io::Result<()> {
        if let Some(user) = user {
            writeln!(out, "{} ({})", Plain(&user.name), user.id)?;
            for line in user.email.iter().chain(&user.picture) {
                writeln!(out, "{}", Plain(line))?;
            }
        }
        writeln!(out, "Exported {}", shown(now))
    }

    fn chat(&mut self, out: &mut dyn Write, chat: &ChatDetails) -> io::Result<()> {
        write!(out, "\n== {}", Plain(&names(chat)))?;
        if let Some(title) = title(chat) {
            write!(out, ", about {}", Plain(&title))?;
        }
        writeln!(
            out,
            " ({} {}, opened {})\n",
            chat.chat.kind.as_str(),
            chat.chat.id,
            shown(chat.chat.created_at)
        )
    }

    fn message(&mut self, out: &mut dyn Write, details: &MessageDetails) -> io::Result<()> {
        let message = &details.message;
        let sender = Plain(&details.sender.name);
        write!(out, "{}  {sender}: ", shown(message.created_at))?;
        if let Some(parent) = &details.parent {
            let start: String = parent.message.content.chars().take(60).collect();
            write!(out, "[to \"{}\"] ", Plain(&start.replace('\n', " ")))?;
        }
        if let Some(file) = &message.attachment {
            write!(out, "[{}] ", file.name)?;
        }
        writeln!(
            out,
            "{}{}",
            Plain(&message.content),
            Plain(&remarks(details))
        )
    }

    fn end_chat(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}
