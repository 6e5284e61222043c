//! Links between the pages, and that no sentence stands in two of them.

use std::collections::BTreeMap;

use super::page::{Page, root};

/// The name that a heading gets in an address.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading
        .chars()
        .filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// What stands between `](` and `)`.
fn links(text: &str) -> Vec<&str> {
    let after = text.split("](").skip(1);
    after
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link)
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = Page::all();
    pages.push(Page::read("CHANGELOG.md"));
    pages.push(Page::read("examples/node/README.md"));
    pages.push(Page::read("examples/react/README.md"));
    let mut followed = 0;
    for page in &pages {
        let from = root().join(page.path);
        for link in links(&page.prose())
            .into_iter()
            .filter(|link| !link.contains("://"))
        {
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                from.clone()
            } else {
                from.with_file_name(file)
            };
            assert!(target.exists(), "{}: {link} leads nowhere", page.path);
            followed += 1;
            if part.is_empty() {
                continue;
            }
            let text = std::fs::read_to_string(&target).unwrap();
            let mut headings = text.lines().filter(|line| line.starts_with('#'));
            assert!(
                headings.any(|heading| anchor(heading) == part),
                "{}: no heading for {link}",
                page.path
            );
        }
    }
    assert!(followed >= 25, "only {followed} links were found");
}

#[test]
fn every_page_is_linked_from_the_first() {
    let first = Page::read("README.md");
    let linked = links(&first.text);
    let linked: Vec<&str> = linked
        .iter()
        .filter_map(|link| link.split('#').next())
        .collect();
    for page in Page::all().iter().skip(1) {
        assert!(
            linked.contains(&page.path),
            "README.md does not link {}",
            page.path
        );
    }
}

#[test]
fn nothing_is_said_twice() {
    let mut said: BTreeMap<String, &str> = BTreeMap::new();
    for page in Page::all() {
        let prose = page.prose().replace('\n', " ");
        for sentence in prose.split_terminator(['.', ';', '|', ':']) {
            let words: Vec<&str> = sentence.split_whitespace().collect();
            if words.len() < 8 {
                continue;
            }
            let words = words.join(" ");
            let before = said.insert(words.clone(), page.path);
            let elsewhere = before.filter(|before| *before != page.path);
            assert!(
                elsewhere.is_none(),
                "in {elsewhere:?} and in {}: {words}",
                page.path
            );
        }
    }
    assert!(said.len() > 200, "only {} sentences were found", said.len());
}
