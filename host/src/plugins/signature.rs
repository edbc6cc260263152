//! Functions as WIT writes them: as the contract has them, and as a component has them. For messages
//! about what does not fit.

use wasmtime::component::Component;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};

/// The contract's own text, an interface a file.
const WIT: [&str; 11] = [
    include_str!("../../../wit/databases.wit"),
    include_str!("../../../wit/dns.wit"),
    include_str!("../../../wit/http.wit"),
    include_str!("../../../wit/inventory.wit"),
    include_str!("../../../wit/job.wit"),
    include_str!("../../../wit/secrets.wit"),
    include_str!("../../../wit/servers.wit"),
    include_str!("../../../wit/ssh.wit"),
    include_str!("../../../wit/stacks.wit"),
    include_str!("../../../wit/types.wit"),
    include_str!("../../../wit/world.wit"),
];

/// How deep types are told that are within types.
const DEEPEST: usize = 3;

/// The most characters of a signature: a stranger's type has any number of fields.
const LONGEST: usize = 400;

/// The function of an interface, such as `dns`, or of the worlds where that is none, as the contract
/// has it.
pub(super) fn expected(interface: Option<&str>, name: &str) -> Option<&'static str> {
    let begins = interface.map_or("world ".to_owned(), |it| format!("interface {it} {{"));
    let file = WIT.iter().find(|text| text.lines().any(|line| line.starts_with(&begins)))?;
    let mut lines = file.lines().map(|line| line.trim().trim_start_matches("export "));
    let signature = lines.find_map(|line| {
        let rest = line.trim_start_matches('%').strip_prefix(name)?.strip_prefix(": ")?;
        rest.starts_with("func(").then_some(rest)
    });
    signature.map(|it| it.trim_end_matches(';'))
}

/// The names of an interface's functions.
pub(super) fn names(interface: &str) -> Vec<&'static str> {
    let begins = format!("interface {interface} {{");
    let file = WIT.iter().find(|text| text.lines().any(|line| line.starts_with(&begins)));
    let lines = file.into_iter().flat_map(|text| text.lines());
    let named = lines.filter_map(|line| line.trim().split_once(": func("));
    named.map(|(name, _)| name.trim_start_matches('%')).collect()
}

/// The function that a component imports or, where no interface is named, exports.
pub(super) fn found(component: &Component, interface: Option<&str>, name: &str) -> Option<String> {
    let (engine, whole) = (component.engine(), component.component_type());
    let item = match interface {
        None => whole.exports(engine).find(|(it, _)| *it == name).map(|(_, item)| item.ty),
        Some(interface) => {
            let (_, import) = whole.imports(engine).find(|(it, _)| *it == interface)?;
            let ComponentItem::ComponentInstance(instance) = import.ty else { return None };
            let item = instance.exports(engine).find(|(it, _)| *it == name);
            item.map(|(_, item)| item.ty)
        }
    };
    match item? {
        ComponentItem::ComponentFunc(function) => Some(function_text(&function)),
        _ => None,
    }
}

fn function_text(function: &ComponentFunc) -> String {
    let parameters: Vec<String> = function
        .params()
        .map(|(name, ty)| format!("{}: {}", name.escape_debug(), text(&ty, 0)))
        .collect();
    let results: Vec<String> =
        function.results().map(|ty| format!(" -> {}", text(&ty, 0))).collect();
    let whole = format!("func({}){}", parameters.join(", "), results.concat());
    match whole.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", whole.get(..end).unwrap_or_default()),
        None => whole,
    }
}

fn text(ty: &Type, depth: usize) -> String {
    if depth > DEEPEST {
        return "…".to_owned();
    }
    let inner = |ty: &Type| text(ty, depth + 1);
    let optional = |ty: Option<Type>| ty.map_or_else(|| "_".to_owned(), |ty| inner(&ty));
    let list = |items: Vec<String>| items.join(", ");
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::S8 => "s8".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::S16 => "s16".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::Float32 => "f32".to_owned(),
        Type::Float64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "string".to_owned(),
        Type::List(it) => format!("list<{}>", inner(&it.ty())),
        Type::Option(it) => format!("option<{}>", inner(&it.ty())),
        Type::Result(it) => format!("result<{}, {}>", optional(it.ok()), optional(it.err())),
        Type::Tuple(it) => format!("tuple<{}>", list(it.types().map(|ty| inner(&ty)).collect())),
        Type::Record(it) => {
            let fields = it.fields().map(|field| format!("{}: {}", field.name, inner(&field.ty)));
            format!("record {{ {} }}", list(fields.collect()))
        }
        Type::Variant(it) => {
            let cases = it.cases().map(|case| case.name.to_owned());
            format!("variant {{ {} }}", list(cases.collect()))
        }
        Type::Enum(it) => format!("enum {{ {} }}", list(it.names().map(str::to_owned).collect())),
        Type::Flags(it) => format!("flags {{ {} }}", list(it.names().map(str::to_owned).collect())),
        Type::Own(_) | Type::Borrow(_) => "a resource".to_owned(),
        Type::Map(_)
        | Type::Future(_)
        | Type::Stream(_)
        | Type::ErrorContext
        | Type::FixedLengthList(_) => "a type of a later WebAssembly".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_says_what_its_functions_are() {
        assert_eq!(expected(Some("job"), "progress"), Some("func(percent: u8)"));
        assert_eq!(
            expected(Some("servers"), "list"),
            Some("func() -> result<list<server>, failure>")
        );
        assert_eq!(expected(None, "run"), Some("func(params: json) -> result<json, failure>"));
        assert_eq!(expected(Some("dns"), "zonks"), None);
        assert_eq!(names("dns"), ["zones", "lookup", "upsert", "delete"]);
    }
}
