//! Holds what the server says against its own descriptions: every answer, event and ack that a client of these tests receives. There no
//! object may have a field that is not described, although the descriptions leave room for more.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use jivchat::web::docs::{ASYNCAPI, OPENAPI};
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::rest::Answer;

static DESCRIPTION: LazyLock<Description> = LazyLock::new(Description::read);

thread_local! {
    /// What the test of this thread has seen: `operationId status`, `event name`, `ack name`.
    static SEEN: RefCell<BTreeSet<String>> = RefCell::default();
}

/// Both descriptions, ready to be compared with.
struct Description {
    openapi: Value,
    asyncapi: Value,
    /// All schemas, closed.
    schemas: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// What this test has seen so far.
pub(super) fn seen() -> BTreeSet<String> {
    SEEN.with_borrow(Clone::clone)
}

/// Every path of the description with its methods in capitals.
pub(super) fn described_routes() -> Vec<(String, BTreeSet<String>)> {
    let paths = DESCRIPTION.openapi["paths"].as_object().unwrap();
    let routes = paths
        .iter()
        .map(|(path, item)| (path.clone(), methods(item)));
    routes.collect()
}

/// What there is to be seen of the successes: `operationId status`.
pub(super) fn described_successes() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for item in DESCRIPTION.openapi["paths"].as_object().unwrap().values() {
        let item = item.as_object().unwrap();
        for operation in item.values().filter(|one| one.is_object()) {
            let statuses = operation["responses"].as_object().unwrap().keys();
            let good = statuses.filter(|status| status.starts_with('2'));
            found.extend(
                good.map(|status| {
                    format!("{} {status}", operation["operationId"].as_str().unwrap())
                }),
            );
        }
    }
    found
}

/// What there is to be seen over a socket: `event name` and `ack name`.
pub(super) fn described_events() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for operation in DESCRIPTION.asyncapi["operations"]
        .as_object()
        .unwrap()
        .values()
    {
        let name = |message: &Value| DESCRIPTION.message(message)["name"].clone();
        for message in operation["messages"].as_array().unwrap() {
            let name = name(message);
            if operation["action"] == "send" {
                found.insert(format!("event {}", name.as_str().unwrap()));
            } else if operation.get("reply").is_some() {
                found.insert(format!("ack {}", name.as_str().unwrap()));
            }
        }
    }
    found
}

/// Compares an answer with what is described. What is not of the API (the demo page, Engine.IO, a preflight) is let pass.
pub(super) fn check_answer(method: &str, target: &str, answer: &Answer) {
    let path = target.split('?').next().unwrap();
    let is_other = path == "/"
        || ["/socket.io", "/demo/", "/web/", "/admin", "/docs/assets/"]
            .iter()
            .any(|one| path.starts_with(one));
    // A head that is too long is refused before anybody looks at it.
    if is_other || method == "OPTIONS" && answer.status == 204 || answer.status == 431 {
        return;
    }
    let what = format!("{method} {path}: {}", answer.status);
    assert!(
        answer.header("x-request-id").is_some(),
        "{what}: no X-Request-Id"
    );
    let Some((template, item)) = DESCRIPTION.path(path) else {
        // While stopping everything is 503.
        let expected = if answer.status == 503 {
            "unavailable"
        } else {
            "not_found"
        };
        let known = answer.status == 503 || answer.status == 404;
        assert!(known, "{what}: a path that is not described");
        return DESCRIPTION.check_failure(&what, method, answer, &[expected]);
    };
    let methods = methods(item);
    let asked = if method == "HEAD" && methods.contains("HEAD") {
        "GET"
    } else {
        method
    };
    if !methods.contains(asked) {
        if answer.status == 503 {
            return DESCRIPTION.check_failure(&what, method, answer, &["unavailable"]);
        }
        assert_eq!(answer.status, 405, "{what}: a method that is not described");
        let allowed = answer
            .header("allow")
            .unwrap()
            .split(", ")
            .map(str::to_owned);
        assert_eq!(allowed.collect::<BTreeSet<_>>(), methods, "{what}");
        return DESCRIPTION.check_failure(&what, method, answer, &["method_not_allowed"]);
    }
    let operation = &item[asked.to_lowercase()];
    DESCRIPTION.check_operation(&what, template, method, operation, answer);
    let id = operation["operationId"].as_str().unwrap();
    SEEN.with_borrow_mut(|seen| seen.insert(format!("{id} {}", answer.status)));
}

/// Compares an event that came with what is described.
pub(super) fn check_event(name: &str, payload: &Value) {
    let sends = |one: &Value| one["action"] == "send";
    let messages = DESCRIPTION.messages(sends, |operation| &operation["messages"]);
    let named: Vec<_> = messages.filter(|message| message["name"] == name).collect();
    assert!(!named.is_empty(), "the event {name} is not described");
    DESCRIPTION.check_message(&format!("event {name}"), &named, payload);
}

/// Compares an ack with what is described for the event that was emitted.
pub(super) fn check_ack(event: &str, payload: &Value) {
    let event = match event {
        "joinChat" => "join-chat",
        "leaveChat" => "leave-chat",
        event => event,
    };
    let takes = |one: &Value| {
        one["action"] == "receive" && DESCRIPTION.message(&one["messages"][0])["name"] == event
    };
    let replies: Vec<_> = DESCRIPTION
        .messages(takes, |operation| &operation["reply"]["messages"])
        .collect();
    assert!(!replies.is_empty(), "an ack of {event} is not described");
    DESCRIPTION.check_message(&format!("ack {event}"), &replies, payload);
}

impl Description {
    fn read() -> Self {
        let mut openapi: Value = serde_json::from_str(OPENAPI).unwrap();
        // Both name schemas alike once they are together.
        let mut asyncapi: Value =
            serde_json::from_str(&ASYNCAPI.replace("./openapi.json#", "#")).unwrap();
        close(&mut openapi);
        close(&mut asyncapi);
        let mut schemas = openapi["components"]["schemas"].clone();
        for (name, schema) in asyncapi["components"]["schemas"].as_object().unwrap() {
            let before = schemas
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), schema.clone());
            assert_eq!(before, None, "{name} is in both");
        }
        Self {
            openapi,
            asyncapi,
            schemas,
            validators: Mutex::default(),
        }
    }

    /// The described path that a path is of: the one with the most that is not open.
    fn path(&self, path: &str) -> Option<(&str, &Value)> {
        let asked: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        let paths = self.openapi["paths"].as_object().unwrap().iter();
        let fitting = paths.filter_map(|(template, item)| {
            let parts: Vec<&str> = template.split('/').collect();
            let fits = parts.len() == asked.len()
                && parts
                    .iter()
                    .zip(&asked)
                    .all(|(part, asked)| part == asked || part.starts_with('{'));
            let literal: Vec<bool> = parts.iter().map(|part| !part.starts_with('{')).collect();
            fits.then_some((literal, template.as_str(), item))
        });
        let (_, template, item) = fitting.max_by(|one, other| one.0.cmp(&other.0))?;
        Some((template, item))
    }

    fn check_operation(
        &self,
        what: &str,
        template: &str,
        method: &str,
        operation: &Value,
        answer: &Answer,
    ) {
        let status = answer.status.to_string();
        let declared = operation["responses"].get(&status);
        let declared = declared.unwrap_or_else(|| {
            panic!(
                "{what} is not described: {}",
                String::from_utf8_lossy(&answer.body)
            )
        });
        let response = resolve(&self.openapi, declared);
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let header = resolve(&self.openapi, header);
            let is_there = answer.header(&name.to_lowercase()).is_some();
            assert!(is_there || header["required"] != true, "{what}: no {name}");
        }
        let Some(content) = response["content"].as_object() else {
            assert!(
                answer.body.is_empty(),
                "{what}: a body that is not described"
            );
            return;
        };
        let given = answer.header("content-type").unwrap_or_default();
        let essence = given.split(';').next().unwrap();
        let (media_type, media) = content.iter().next().unwrap();
        assert!(
            media_type == "*/*" || media_type == essence,
            "{what}: {given}"
        );
        if let Some(schema) = media.get("schema").filter(|_| method != "HEAD") {
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            self.check(
                &format!("{method} {template} {status}"),
                schema,
                &body,
                what,
            );
            if let Some(error) = body["error"].as_str() {
                let everywhere = self.openapi["x-errors-everywhere"].as_array().unwrap();
                let own = operation["x-errors"].as_array().unwrap();
                let is_known = own.iter().chain(everywhere).any(|code| code == error);
                assert!(
                    is_known,
                    "{what}: {error} is not among the errors of {}",
                    operation["operationId"]
                );
            }
        }
    }

    /// A failure that belongs to no operation.
    fn check_failure(&self, what: &str, method: &str, answer: &Answer, codes: &[&str]) {
        if method == "HEAD" {
            return;
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        self.check(
            "failure",
            &json!({ "$ref": "#/components/schemas/Failure" }),
            &body,
            what,
        );
        assert!(
            codes.contains(&body["error"].as_str().unwrap()),
            "{what}: {body}"
        );
    }

    /// The messages of some operations.
    fn messages<'a>(
        &'a self,
        is_meant: impl Fn(&Value) -> bool + 'a,
        part: impl Fn(&'a Value) -> &'a Value + 'a,
    ) -> impl Iterator<Item = &'a Value> {
        let operations = self.asyncapi["operations"].as_object().unwrap().values();
        let meant = operations.filter(move |one| is_meant(one));
        meant
            .filter_map(move |one| part(one).as_array())
            .flatten()
            .map(|message| self.message(message))
    }

    /// What a reference of an operation to a message of a channel means.
    fn message(&self, reference: &Value) -> &Value {
        let pointer = reference["$ref"].as_str().unwrap().trim_start_matches('#');
        resolve(&self.asyncapi, self.asyncapi.pointer(pointer).unwrap())
    }

    fn check_message(&self, what: &str, messages: &[&Value], payload: &Value) {
        let payloads: Vec<_> = messages.iter().map(|message| &message["payload"]).collect();
        self.check(what, &json!({ "anyOf": payloads }), payload, what);
        SEEN.with_borrow_mut(|seen| seen.insert(what.to_owned()));
    }

    fn check(&self, key: &str, schema: &Value, value: &Value, what: &str) {
        let mut validators = self.validators.lock().unwrap();
        let validator = validators.entry(key.to_owned()).or_insert_with(|| {
            let root = json!({ "components": { "schemas": self.schemas }, "allOf": [schema] });
            Arc::new(jsonschema::validator_for(&root).unwrap())
        });
        let validator = Arc::clone(validator);
        drop(validators);
        let errors: Vec<_> = validator
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{what}: {}\n{value}", errors.join("\n"));
    }
}

/// The methods of a path, in capitals; where there is GET there is HEAD, but for a stream.
fn methods(item: &Value) -> BTreeSet<String> {
    let item = item.as_object().unwrap();
    let named = item.keys().filter(|name| *name != "parameters");
    let mut methods: BTreeSet<String> = named.map(|name| name.to_uppercase()).collect();
    let streams = item.get("get").is_some_and(|get| get["x-no-head"] == true);
    if methods.contains("GET") && !streams {
        methods.insert("HEAD".to_owned());
    }
    methods
}

/// What a value is, or what its `$ref` names.
pub(super) fn resolve<'a>(root: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap();
            root.pointer(pointer)
                .unwrap_or_else(|| panic!("{reference} names nothing"))
        }
        None => value,
    }
}

/// Closes every schema of an object that does not say it is open.
fn close(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            close_object(fields);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn close_object(fields: &mut Map<String, Value>) {
    let is_open = fields.contains_key("additionalProperties") || fields.contains_key("allOf");
    if fields.get("properties").is_some_and(Value::is_object) && !is_open {
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
}
