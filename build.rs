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
        let mut json = String::new();
        write(document, &mut json).map_err(|what| format!("{source}: {what}"))?;
        let json = json.replace("./openapi.yaml#", "./openapi.json#");
        fs::write(Path::new(&out).join(format!("{name}.json")), json)?;
    }
    Ok(())
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
