//! Turns the descriptions in `docs/` into the JSON that the binary carries, so that they are written once and nobody parses YAML
//! while the server runs. Names one file by the other's JSON name where one refers to it.

use std::path::Path;
use std::{env, error, fs};

use yaml_rust2::{Yaml, YamlLoader};

fn main() -> Result<(), Box<dyn error::Error>> {
    let out = env::var("OUT_DIR")?;
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["openapi", "asyncapi"] {
        let source = format!("docs/{name}.yaml");
        println!("cargo:rerun-if-changed={source}");
        let text = fs::read_to_string(&source)?;
        let documents =
            YamlLoader::load_from_str(&text).map_err(|error| format!("{source}: {error}"))?;
        let [document] = documents.as_slice() else {
            return Err(format!("{source} must be one document").into());
        };
        let mut document = document.clone();
        give_examples(&mut document);
        let mut json = String::new();
        write(&document, &mut json).map_err(|what| format!("{source}: {what}"))?;
        let json = json.replace("./openapi.yaml#", "./openapi.json#");
        fs::write(Path::new(&out).join(format!("{name}.json")), json)?;
    }
    Ok(())
}

/// Puts in place of each shared failure one that the operation can give: with its own codes, and an example of the first of them.
fn give_examples(document: &mut Yaml) {
    let shared = document["components"]["responses"].clone();
    for item in fields(document, "paths") {
        for (_, operation) in item.as_mut_hash().into_iter().flatten() {
            let Some(own) = operation["x-errors"].as_vec().cloned() else {
                continue;
            };
            let sentences = operation["x-messages"].clone();
            let mut shown = Vec::new();
            for response in fields(operation, "responses") {
                let name = response["$ref"]
                    .as_str()
                    .and_then(|path| path.rsplit('/').next());
                let narrowed =
                    name.and_then(|name| narrowed(&shared[name], &own, &shown, &sentences));
                if let Some((narrowed, codes)) = narrowed {
                    *response = narrowed;
                    shown.extend(codes);
                }
            }
        }
    }
}

/// The failure with its codes; one that is not `shown` by a failure before is preferred for the example, since a code may stand for two
/// statuses. `None` where no example is of one of these codes: what may be answered everywhere, and successes.
fn narrowed(
    shared: &Yaml,
    own: &[Yaml],
    shown: &[Yaml],
    sentences: &Yaml,
) -> Option<(Yaml, Vec<Yaml>)> {
    let content = &shared["content"]["application/json"];
    let examples = content["examples"].as_hash()?;
    let codes: Vec<Yaml> = own
        .iter()
        .filter(|code| examples.contains_key(code))
        .cloned()
        .collect();
    let code = codes.iter().min_by_key(|code| shown.contains(code))?;
    let mut example = examples[code].clone();
    if let sentence @ Yaml::String(_) = &sentences[code.as_str()?] {
        set(&mut example, &["value", "message"], sentence.clone());
    }
    let mut response = shared.clone();
    let only = [(code.clone(), example)].into_iter().collect();
    let path = ["content", "application/json", "examples"];
    set(&mut response, &path, Yaml::Hash(only));
    if content["schema"]["properties"]["error"]["enum"]
        .as_vec()
        .is_some()
    {
        let path = [
            "content",
            "application/json",
            "schema",
            "properties",
            "error",
            "enum",
        ];
        set(&mut response, &path, Yaml::Array(codes.clone()));
    }
    Some((response, codes))
}

fn fields<'a>(value: &'a mut Yaml, name: &str) -> impl Iterator<Item = &'a mut Yaml> + use<'a> {
    let key = Yaml::String(name.to_owned());
    let own = value.as_mut_hash().and_then(|fields| fields.get_mut(&key));
    let inside = own.and_then(Yaml::as_mut_hash).into_iter().flatten();
    inside.map(|(_, field)| field)
}

/// Replaces what is at `path`, where it is there.
fn set(value: &mut Yaml, path: &[&str], new: Yaml) {
    let mut place = value;
    for name in path {
        let key = Yaml::String((*name).to_owned());
        match place.as_mut_hash().and_then(|fields| fields.get_mut(&key)) {
            Some(field) => place = field,
            None => return,
        }
    }
    *place = new;
}

/// Appends `value` as JSON.
fn write(value: &Yaml, json: &mut String) -> Result<(), String> {
    match value {
        Yaml::Null => json.push_str("null"),
        Yaml::Boolean(value) => json.push_str(if *value { "true" } else { "false" }),
        Yaml::Integer(value) => json.push_str(&value.to_string()),
        Yaml::String(text) => write_text(text, json)?,
        Yaml::Array(items) => {
            json.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                write(item, json)?;
            }
            json.push(']');
        }
        Yaml::Hash(fields) => {
            json.push('{');
            for (index, (name, field)) in fields.iter().enumerate() {
                let Yaml::String(name) = name else {
                    return Err(format!("{name:?} is no name of a field"));
                };
                if index > 0 {
                    json.push(',');
                }
                write_text(name, json)?;
                json.push(':');
                write(field, json)?;
            }
            json.push('}');
        }
        Yaml::Real(_) | Yaml::Alias(_) | Yaml::BadValue => {
            return Err(format!("{value:?} has no place in a description"));
        }
    }
    Ok(())
}

fn write_text(text: &str, json: &mut String) -> Result<(), String> {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\t' => json.push_str("\\t"),
            control if control < ' ' => {
                return Err(format!("{control:?} has no place in {text:?}"));
            }
            other => json.push(other),
        }
    }
    json.push('"');
    Ok(())
}
