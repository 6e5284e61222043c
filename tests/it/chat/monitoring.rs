//! What is given away to watch a server with (`examples/monitoring`): every figure that it asks for is one that a server tells.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
use yaml_rust2::{Yaml, YamlLoader};

use super::server::TestServer;
use super::sockets::Client;

/// The words of the language itself that the files use.
const WORDS: [&str; 17] = [
    "absent",
    "and",
    "by",
    "changes",
    "clamp_min",
    "code",
    "histogram_quantile",
    "holds",
    "increase",
    "instance",
    "max",
    "max_over_time",
    "min",
    "predict_linear",
    "rate",
    "sum",
    "time",
];
/// What Prometheus adds to every figure.
const ADDED: [&str; 2] = ["job", "instance"];

/// The labels of each figure, by its name.
type Figures = BTreeMap<String, BTreeSet<String>>;

/// What a server tells that has been used a little.
async fn told() -> Figures {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = asha.chat_with(&rohan).await;
    let mut socket = Client::connect(&server, &rohan).await;
    asha.says(&chat, "hello").await;
    socket.until_hears("hello").await;
    let answer = server.anonymous().get("/metrics").await;
    let text = String::from_utf8(answer.body).unwrap();
    let mut figures = Figures::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (sample, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        let labels = labels.strip_suffix('}').unwrap().split(',');
        let labels = labels.filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        figures.entry(name.to_owned()).or_default().extend(labels);
    }
    figures
}

/// An expression as what it asks for: the names in it, each with the labels that it is chosen by.
fn asked(expression: &str) -> Vec<(String, Vec<String>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut asked = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(is_word) {
        rest = &rest[start..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let (labels, after) = match after.strip_prefix('{') {
            Some(inside) => inside.split_once('}').unwrap(),
            None => ("", after),
        };
        let after = match after.strip_prefix('[') {
            Some(range) => range.split_once(']').unwrap().1,
            None => after,
        };
        let names = labels.split(',').filter(|label| !label.is_empty());
        let names = names.map(|label| label.split(['=', '!']).next().unwrap().to_owned());
        if !word.starts_with(|c: char| c.is_ascii_digit()) {
            asked.push((word.to_owned(), names.collect()));
        }
        rest = after;
    }
    asked
}

/// Whether an expression asks only for what is told.
fn check(figures: &Figures, expression: &str) {
    let asked = asked(expression);
    let is_grouped = |word: &str| figures.values().any(|labels| labels.contains(word));
    let mut named = 0;
    for (word, labels) in asked {
        let Some(known) = figures.get(&word) else {
            let is_word = WORDS.contains(&word.as_str()) || word == "le" || is_grouped(&word);
            assert!(is_word && labels.is_empty(), "`{word}` in {expression}");
            continue;
        };
        named += 1;
        for label in labels {
            let is_known = known.contains(&label) || ADDED.contains(&label.as_str());
            assert!(is_known, "{word} has no label {label}: {expression}");
        }
    }
    assert!(named > 0, "{expression} asks for nothing");
}

fn read(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/monitoring");
    std::fs::read_to_string(root.join(name)).unwrap()
}

/// Every `expr` of a document, whatever holds it.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), field) {
                    ("expr", Value::String(text)) => found.push(text.clone()),
                    _ => expressions(field, found),
                }
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_dashboard_shows_what_is_told_and_the_key_figures_first() {
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let titles: Vec<_> = panels.iter().map(|panel| panel["title"].as_str()).collect();
    let first = [
        "Key metrics",
        "Active connections",
        "Message volume",
        "Response times",
        "Error rates",
        "User engagement: chats",
    ];
    assert_eq!(titles[..6], first.map(Some));
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        let place = &panel["gridPos"];
        let right = place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap();
        assert!(right <= 24, "{panel}");
        let is_filled = panel["type"] == "row" || !panel["targets"].as_array().unwrap().is_empty();
        assert!(is_filled && panel["description"] != json!(""), "{panel}");
    }
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    assert!(found.len() > 25, "{found:?}");
    let figures = told().await;
    for expression in &found {
        check(&figures, expression);
    }
    let shown: BTreeSet<_> = found
        .iter()
        .flat_map(|text| asked(text))
        .map(|(word, _)| word)
        .collect();
    // A histogram is shown when its steps are.
    let is_shown = |name: &&String| {
        let base = name.trim_end_matches("_sum").trim_end_matches("_count");
        shown.contains(*name) || shown.contains(&format!("{base}_bucket"))
    };
    let forgotten: Vec<_> = figures.keys().filter(|name| !is_shown(name)).collect();
    assert!(forgotten.is_empty(), "on no panel: {forgotten:?}");
}

#[tokio::test]
async fn the_alerts_ask_for_what_is_told_and_say_what_to_do() {
    let documents = YamlLoader::load_from_str(&read("alerts.yaml")).unwrap();
    let rules = documents[0]["groups"][0]["rules"].as_vec().unwrap();
    let figures = told().await;
    let mut names = BTreeSet::new();
    for rule in rules {
        let text = |value: &Yaml| value.as_str().unwrap_or_default().to_owned();
        let name = text(&rule["alert"]);
        assert!(name.starts_with("Jivchat") && names.insert(name.clone()));
        check(&figures, &text(&rule["expr"]));
        let severity = text(&rule["labels"]["severity"]);
        assert!(
            ["warning", "critical"].contains(&severity.as_str()),
            "{name}"
        );
        for part in ["summary", "description"] {
            assert!(!text(&rule["annotations"][part]).is_empty(), "{name}");
        }
    }
    for wanted in [
        "JivchatStorageNotWritable",
        "JivchatDeliverySlow",
        "JivchatSlowConsumers",
        "JivchatServerErrors",
        "JivchatRestarted",
        "JivchatDiskFull",
    ] {
        assert!(names.contains(wanted), "{wanted}");
    }
}

#[test]
fn an_expression_is_read_as_what_it_asks_for() {
    let expression = "sum by (a) (rate(x_total{b=\"c\",d!~\"e\"}[5m])) * 60 > 0.5 and y";
    let asked: Vec<_> = asked(expression)
        .into_iter()
        .filter(|(word, _)| !WORDS.contains(&word.as_str()))
        .collect();
    let labels = ["b", "d"].map(str::to_owned).to_vec();
    let named = [("a", vec![]), ("x_total", labels), ("y", vec![])];
    assert_eq!(asked, named.map(|(word, labels)| (word.to_owned(), labels)));
}
