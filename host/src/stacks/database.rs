//! Databases in the containers of an engine, by the commands that its recipe gives.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::model::app::EngineCommand;
use crate::stacks::StackName;
use crate::stacks::container::words;
use crate::stacks::swarm::script;

/// How long an engine may take until it takes commands, in seconds.
pub const READY_S: u64 = 180;
/// The script's exit code when another role owns the database.
pub const CONFLICT: i32 = 3;

/// Whose database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names<'a> {
    /// The database.
    pub database: &'a str,
    /// The role that owns it.
    pub role: &'a str,
    /// The reference of the role's password.
    pub password: &'a str,
}

/// Commands that follow one another; each begins when the one before it ended well.
#[derive(Debug)]
pub struct Commands {
    filled: Vec<EngineCommand>,
}

impl Commands {
    /// The commands with names in the places of placeholders. Only standard input takes the
    /// password's.
    ///
    /// # Errors
    /// A sentence that says which placeholder or reference there may not be.
    pub fn fill(commands: &[&EngineCommand], names: &Names<'_>) -> Result<Self, String> {
        let filled = commands.iter().map(|command| {
            let arguments = command.arguments.iter().map(|text| fill(text, names, false));
            let stdin = command.stdin.as_deref().map(|text| fill(text, names, true));
            Ok(EngineCommand {
                arguments: arguments.collect::<Result<_, String>>()?,
                stdin: stdin.transpose()?,
            })
        });
        Ok(Self { filled: filled.collect::<Result<_, String>>()? })
    }

    /// The line for the server's shell: waits until the first one ends well, and then runs the
    /// others in their order.
    pub fn line(&self, stack: &StackName, service: &str) -> String {
        let (wait, count) = (READY_S.to_string(), self.filled.len().to_string());
        let values = [
            ("wl_stack", stack.as_str()),
            ("wl_service", service),
            ("wl_wait", &wait),
            ("wl_count", &count),
        ];
        let mut body = String::new();
        for (number, command) in self.filled.iter().enumerate() {
            let words = words(&command.arguments);
            body.extend([
                &format!("wl_command_{number}() {{ docker exec -i -e WINDLASS_RECEIPT "),
                "\"$wl_container\" ",
                &words,
                "; }\n",
            ]);
        }
        body.push_str(include_str!("scripts/container.sh"));
        body.push_str(include_str!("scripts/database.sh"));
        script("database", &values, &body)
    }

    /// What the commands read, with the references that are in it.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.filled.iter().map(|command| command.stdin.as_deref().unwrap_or_default())
    }

    /// The script's standard input, from what the commands read.
    pub fn stdin(inputs: &[Zeroizing<Vec<u8>>]) -> Vec<u8> {
        let lines = inputs.iter().map(|input| format!("{}\n", BASE64_STANDARD.encode(input)));
        lines.collect::<String>().into_bytes()
    }
}

/// One pass: what was put in is not looked at again.
fn fill(text: &str, names: &Names<'_>, takes_password: bool) -> Result<String, String> {
    if text.contains("${secret:") {
        return Err("its commands may not name secrets of their own".to_owned());
    }
    let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or("a placeholder has no end")?;
        filled.push_str(before);
        filled.push_str(match name.trim() {
            "database" => names.database,
            "role" => names.role,
            "password" if takes_password => names.password,
            "password" => return Err("a password may stand in standard input only".to_owned()),
            _ => return Err("there are placeholders for database, role and password only".into()),
        });
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Refuses a name that would need quoting somewhere.
///
/// # Errors
/// A sentence that says why.
pub fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if (1..=63).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    let shown: String = name.chars().take(70).collect();
    Err(format!(
        "`{}` is no name of a database: use 1 to 63 of a-z, 0-9 and _",
        shown.escape_debug()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'_> = Names { database: "shop", role: "my_app", password: "${secret:a/b}" };

    #[test]
    fn placeholders_are_filled_once_and_the_password_goes_to_standard_input_only() {
        let text = "CREATE ROLE {{role}} PASSWORD '{{ password }}'; {{database}}";
        let filled = fill(text, &NAMES, true).unwrap();
        assert_eq!(filled, "CREATE ROLE my_app PASSWORD '${secret:a/b}'; shop");
        let tricky = Names { database: "{{password}}", ..NAMES };
        assert_eq!(fill("{{database}}", &tricky, false).unwrap(), "{{password}}");
        for (text, takes_password) in [
            ("{{password}}", false),
            ("{{root}}", true),
            ("{{role", true),
            ("${secret:web-1/postgres/password}", true),
        ] {
            assert!(fill(text, &NAMES, takes_password).is_err(), "{text}");
        }
    }

    #[test]
    fn names_need_no_quotes() {
        for name in ["a", "shop_2", &"a".repeat(63)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "A", "a-b", "a;b", "a\"", "é", "a b", &"a".repeat(64)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
