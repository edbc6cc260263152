//! No statement of the store walks over what grows: the plan of each one, in whichever file it
//! stands.

use std::path::Path;

use rusqlite::Connection;

use super::*;

/// Tables that hold what an operator has, and stay small. All others grow with what is done.
const SMALL: [&str; 14] = [
    "activations",
    "apps",
    "backup",
    "backup_plugins",
    "canaries",
    "counters",
    "old_receipts",
    "plugin_versions",
    "providers",
    "secrets",
    "servers",
    "sqlite_master",
    "sqlite_schema",
    "tokens",
];

/// What begins so walks over a growing table, and ends with the first row.
const END_AT_ONCE: [&str; 2] = [
    // The partial index holds only what can be claimed.
    "SELECT number, fence FROM jobs WHERE status = 'queued' AND ready = 1",
    // The last row of each table.
    "SELECT max(coalesce((SELECT max(created_at, coalesce(completed_at, 0)) FROM jobs",
];

const VERBS: [&str; 5] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];

#[test]
fn no_statement_walks_over_what_grows() {
    let folder = tempfile::tempdir().unwrap();
    let connection = schema::open_writer(&folder.path().join("jobs.db"), &[]).unwrap();
    let literals = literals_of_the_store();
    for made in literals.iter().filter(|text| text.starts_with("CREATE TABLE ")) {
        connection.execute_batch(made).unwrap();
    }
    let mut statements: Vec<String> = literals
        .into_iter()
        .filter(|text| VERBS.iter().any(|verb| text.starts_with(verb)))
        .collect();
    assert!(statements.len() > 80, "only {} statements found", statements.len());
    statements.extend(of_triggers(&connection));
    statements.extend(of_foreign_keys(&connection));
    let walks: Vec<String> = statements.iter().flat_map(|text| walks(&connection, text)).collect();
    assert_eq!(walks, Vec::<String>::new());
}

#[test]
fn a_statement_that_walks_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let connection = schema::open_writer(&folder.path().join("jobs.db"), &[]).unwrap();
    for text in [
        "SELECT id FROM jobs WHERE operation LIKE ?1",
        "SELECT id FROM jobs AS other WHERE other.worker = ?1",
        "SELECT id FROM jobs WHERE status = ?1 ORDER BY id",
        "DELETE FROM journal WHERE at < ?1",
        "SELECT count(*) FROM audit",
    ] {
        assert_eq!(walks(&connection, text).len(), 1, "{text}");
    }
}

#[test]
fn every_statement_is_a_literal_that_can_be_checked() {
    for text in literals_of_the_store() {
        let is_statement = VERBS.iter().any(|verb| text.starts_with(verb));
        assert!(!is_statement || !text.contains('{'), "built at run time: {text}");
    }
}

/// The steps of a statement's plan that look at all of a growing table, or sort what is in it.
fn walks(connection: &Connection, text: &str) -> Vec<String> {
    if END_AT_ONCE.iter().any(|known| text.starts_with(known)) {
        return Vec::new();
    }
    let mut explain = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {text}"))
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    let count = explain.parameter_count();
    let parameters = rusqlite::params_from_iter((0..count).map(|_| 1));
    let steps = explain.query_map(parameters, |row| row.get::<_, String>(3)).unwrap();
    let steps: Vec<String> = steps.map(Result::unwrap).collect();
    let is_small = |step: &str| {
        let table = step.split(' ').nth(1).unwrap_or_default();
        SMALL.contains(&table) || table.starts_with('(') || step.contains("json_")
    };
    let scans = |step: &str| step.starts_with("SCAN ") && !step.starts_with("SCAN CONSTANT");
    // What is sorted may come from a small table that is scanned beside.
    let sorts_what_grows = steps.iter().any(|step| step.starts_with("SEARCH ") && !is_small(step))
        && !steps.iter().any(|step| scans(step) && is_small(step));
    let is_walk = |step: &&String| {
        (scans(step) && !is_small(step)) || (sorts_what_grows && step.contains("TEMP B-TREE"))
    };
    steps.iter().filter(is_walk).map(|step| format!("{step}: {text}")).collect()
}

/// Every string in the store's source.
fn literals_of_the_store() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage/sqlite");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let is_test = |path: &PathBuf| {
        ["tests", "tests.rs", "plans.rs", "size.rs"].iter().any(|name| path.ends_with(name))
    };
    let mut files: Vec<PathBuf> = files.filter(|path| !is_test(path)).collect();
    files.push(folder.with_extension("rs"));
    files.sort();
    let sources = files.iter().map(|path| std::fs::read_to_string(path).unwrap());
    sources.flat_map(|source| literals(&source)).collect()
}

/// The strings of a source text, without comments and with a continued line as one.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(place) = rest.find(['"', '\'', '/']) {
        let (_, at) = rest.split_at(place);
        rest = if at.starts_with("//") {
            at.split_once('\n').map_or("", |(_, next)| next)
        } else if at.starts_with("'\"'") {
            at.split_at(3).1
        } else if let Some(string) = at.strip_prefix('"') {
            let (text, next) = string_at(string);
            found.push(text);
            next
        } else {
            at.split_at(1).1
        };
    }
    found
}

fn string_at(source: &str) -> (String, &str) {
    let mut text = String::new();
    let mut characters = source.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return (text, source.split_at(place + 1).1),
            '\\' => text.extend(characters.next().map(|_| ' ')),
            other => text.push(other),
        }
    }
    panic!("a string does not end: {text}");
}

/// What triggers do, with parameters in the place of the row's values.
fn of_triggers(connection: &Connection) -> Vec<String> {
    let mut select =
        connection.prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
    let triggers = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let triggers: Vec<String> = triggers.map(Result::unwrap).collect();
    assert!(!triggers.is_empty());
    let bodies = triggers.iter().map(|sql| sql.split_once(" BEGIN").unwrap().1);
    let statements = bodies.flat_map(|body| body.trim_end().trim_end_matches("END").split(';'));
    let statements = statements.map(|text| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        ["NEW.", "OLD."].iter().fold(text, |text, row| {
            let mut parts = text.split(row);
            let first = parts.next().unwrap_or_default().to_owned();
            let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
            parts.fold(first, |text, part| text + "?1" + part.trim_start_matches(is_name))
        })
    });
    statements.filter(|text| !text.is_empty()).collect()
}

/// What SQLite asks by itself when a row goes that others refer to.
fn of_foreign_keys(connection: &Connection) -> Vec<String> {
    let mut select = connection
        .prepare(
            "SELECT child.name, key.\"from\" FROM sqlite_schema AS child
             JOIN pragma_foreign_key_list(child.name) AS key WHERE child.type = 'table'",
        )
        .unwrap();
    let keys = select
        .query_map([], |row| {
            let (child, column): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(format!("SELECT 1 FROM {child} WHERE {column} = ?1"))
        })
        .unwrap();
    let keys: Vec<String> = keys.map(Result::unwrap).collect();
    assert!(keys.len() >= 2, "{keys:?}");
    keys
}
