//! Data from outside the file: the options `--data` and `--set`, laid over the file's own.

use crate::model::path::Path;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::json;
use crate::spec::source::Source;
use crate::spec::tree::{Kind, Node};
use crate::spec::words::quote;
use crate::spec::yaml;
use serde_json::{Map, Value};

/// What is strict JSON for so long was meant to be JSON to the end.
const JSON_BYTES_SURE: u32 = 64 * 1024;

/// Reads a text as JSON or YAML. What begins like JSON is tried as strict JSON first; YAML in flow style begins so too.
pub(crate) fn tree<'s>(source: &'s Source, faults: &mut Faults<'s>) -> Option<Node> {
    let text = source.text();
    if text.len() > crate::spec::source::LIMITS.bytes {
        let message = format!("the file has more than {} MB", crate::spec::source::LIMITS.bytes >> 20);
        faults.error(crate::spec::source::Span::default(), Code::TooLarge, message);
        return None;
    }
    let start = text.trim_start();
    if !source.is_json() && !start.starts_with(['{', '[']) {
        return yaml::read(text, faults);
    }
    let mut json_faults = Faults::new(source);
    match json::read(text, &mut json_faults) {
        Ok(node) => {
            faults.take(json_faults);
            Some(node)
        }
        Err(bad) if source.is_json() || bad.code != Code::Syntax || looks_like_json(start) => {
            // A file in YAML flow style with quoted keys is YAML all the same; so much good JSON before is none.
            let is_json = source.is_json() || bad.code != Code::Syntax || bad.span.start > JSON_BYTES_SURE;
            let mut yaml_faults = Faults::new(source);
            let node = if is_json { None } else { yaml::read(text, &mut yaml_faults) };
            if node.is_some() {
                faults.take(yaml_faults);
                return node;
            }
            faults.take(json_faults);
            faults.error(bad.span, bad.code, bad.message);
            None
        }
        Err(_) => yaml::read(text, faults),
    }
}

/// A quoted key right behind the first brace: whoever wrote this meant JSON.
fn looks_like_json(start: &str) -> bool {
    start.strip_prefix(['{', '[']).is_some_and(|rest| rest.trim_start().starts_with(['"', '{', '[']))
}

/// Whether the root is a map, as it has to be; else that is reported.
pub(crate) fn is_map(root: &Node, what: &str, faults: &mut Faults<'_>) -> bool {
    if let Kind::Map(_) = root.kind {
        return true;
    }
    let message = format!("{what} has to be a map, found {}", root.type_word());
    faults.error(root.span, Code::WrongType, message).expected("a map of keys and values");
    false
}

/// Reads the document of `--data`: a map.
pub(crate) fn document<'s>(source: &'s Source, faults: &mut Faults<'s>) -> Option<Map<String, Value>> {
    let node = tree(source, faults)?;
    if let Kind::Map(_) = node.kind {
        return Some(node.to_object());
    }
    let message = format!("data has to be a map, found {}", node.type_word());
    faults.error(node.span, Code::WrongType, message).expected("a map of names to values");
    None
}

/// Reads `PATH=VALUE` of `--set`. The value is JSON, else text.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn parse_set(text: &str) -> Result<(Path, Value), String> {
    let mut quoted = false;
    let at = text.find(|c: char| {
        quoted ^= c == '"';
        c == '=' && !quoted
    });
    let Some(at) = at else {
        return Err(format!("{} is not of the form PATH=VALUE, such as `user.age=30`", quote(text)));
    };
    let path = Path::parse(&text[..at]).map_err(|why| format!("{} is not a data path: {why}", quote(&text[..at])))?;
    let source = Source::new("--set", &text[at + 1..]);
    let mut faults = Faults::new(&source);
    let read = json::read(source.text(), &mut faults);
    if let Some(fault) = faults.finish().0.into_iter().next() {
        return Err(format!("the value for `{path}`: {}", fault.message));
    }
    match read {
        Ok(node) => Ok((path, node.to_value())),
        Err(bad) if bad.code == Code::Syntax => Ok((path, Value::String(text[at + 1..].to_owned()))),
        Err(bad) => Err(format!("the value for `{path}`: {}", bad.message)),
    }
}

/// Lays `over` over a document member by member (a member of `over` replaces the whole member), then sets each path.
pub fn lay_over(data: &mut Value, over: Option<&Map<String, Value>>, set: &[(Path, Value)]) {
    if !data.is_object() {
        *data = Value::Object(Map::new());
    }
    if let (Value::Object(members), Some(over)) = (&mut *data, over) {
        for (key, value) in over {
            members.insert(key.clone(), value.clone());
        }
    }
    for (path, value) in set {
        path.set(data, value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn set_takes_json_else_text() {
        let set = |text: &str| parse_set(text).map(|(path, value)| (path.to_string(), value));
        assert_eq!(set("a.b[1]=3").unwrap(), ("a.b[1]".to_owned(), json!(3)));
        assert_eq!(set("a=true").unwrap().1, json!(true));
        assert_eq!(set("a={\"b\": [1]}").unwrap().1, json!({"b": [1]}));
        assert_eq!(set("a=two words = text").unwrap().1, json!("two words = text"));
        assert_eq!(set("a=").unwrap().1, json!(""));
        assert_eq!(set("a=007").unwrap().1, json!("007"));
        assert_eq!(set("\"odd =key\".b=1").unwrap().0, "\"odd =key\".b");
        for bad in ["a", "=1", "a..b=1", "a={\"x\":1,\"x\":2}", "a=1e400"] {
            assert!(set(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn data_replaces_members_and_set_wins_over_both() {
        let mut data = json!({"a": {"x": 1, "y": 2}, "b": 1});
        let over = json!({"a": {"x": 9}, "c": 3});
        lay_over(&mut data, over.as_object(), &[parse_set("a.z.w=5").unwrap(), parse_set("b=text").unwrap()]);
        assert_eq!(data, json!({"a": {"x": 9, "z": {"w": 5}}, "b": "text", "c": 3}));
    }

    #[test]
    fn flow_style_yaml_is_yaml_and_a_json_file_is_strict() {
        let read = |name: &str, text: &str| {
            let source = Source::new(name, text);
            let mut faults = Faults::new(&source);
            let node = document(&source, &mut faults);
            (node, faults.finish().0)
        };
        assert_eq!(
            read("a.yaml", "{a: 1, b: [x, 2],}").0,
            Some(json!({"a": 1, "b": ["x", 2]}).as_object().unwrap().clone())
        );
        assert!(read("a.yaml", "{\"a\": 1,} # comment").0.is_some());
        let (node, faults) = read("a.json", "{\"a\": 1,}");
        assert!(
            node.is_none() && faults[0].column == 9 && faults[0].message.starts_with("this is not JSON"),
            "{faults:?}"
        );
        let (_, faults) = read("-", "{\"a\": 1, \"b\": [}");
        assert_eq!(faults.len(), 1);
        assert!(faults[0].message.starts_with("this is not JSON"));
        assert!(read("a.json", "{\"a\": 1e400}").1[0].message.contains("too large"));
        assert_eq!(read("a.json", "[1]").1[0].code, Code::WrongType);
    }
}
