//! The commands that a simulated machine has.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::providers::sandbox::files::Files;
use crate::providers::sandbox::machines::Simulated;
use crate::providers::sandbox::offer;
use crate::providers::sandbox::shell::Script;
use crate::ssh::Stream;

/// What commands see.
pub(super) struct System {
    /// The machine they run on.
    pub(super) machine: Simulated,
    /// Its files.
    pub(super) files: Files,
    /// When the line was started.
    pub(super) now: Timestamp,
}

impl System {
    /// Its name.
    pub(super) fn hostname(&self) -> &str {
        &self.machine.name
    }
}

/// Runs one command.
pub(super) fn run(name: &str, arguments: &[String], stdin: &[u8], system: &System) -> Script {
    match name {
        "true" | ":" => Script::default(),
        "false" => Script { exit_code: 1, ..Script::default() },
        "echo" => echo(arguments),
        "printf" => printf(arguments),
        "uname" => uname(arguments, system),
        "hostname" => Script::saying(format!("{}\n", system.hostname())),
        "whoami" => Script::saying("root\n"),
        "id" => id(arguments),
        "pwd" => Script::saying("/root\n"),
        "nproc" => Script::saying(format!("{}\n", offer::cores(&system.machine.server_type))),
        "uptime" => uptime(system),
        "date" => date(arguments, system),
        "sleep" => sleep(arguments),
        "cat" => cat(arguments, stdin, system),
        "ls" => ls(arguments, system),
        "mkdir" => mkdir(arguments, system),
        "test" => test(arguments, system),
        "[" => match arguments.split_last() {
            Some((last, arguments)) if last == "]" => test(arguments, system),
            _ => Script::failing(2, "sh: 1: [: missing ]"),
        },
        _ => Script::failing(127, format!("sh: 1: {name}: not found")),
    }
}

fn echo(arguments: &[String]) -> Script {
    match arguments.split_first() {
        Some((option, words)) if option == "-n" => Script::saying(words.join(" ")),
        _ => Script::saying(format!("{}\n", arguments.join(" "))),
    }
}

/// `%s`, `%d`, `%%` and the usual escapes; the format is used again while there are arguments.
fn printf(arguments: &[String]) -> Script {
    let Some((format, values)) = arguments.split_first() else {
        return Script::failing(2, "sh: 1: printf: usage: printf format [arg ...]");
    };
    let mut values = values.iter().map(String::as_str).peekable();
    let mut text = String::new();
    loop {
        let before = values.len();
        let mut chars = format.chars();
        while let Some(char) = chars.next() {
            match (char, char == '%' || char == '\\') {
                (_, false) => text.push(char),
                ('%', _) => match chars.next() {
                    Some('s' | 'd') => text.push_str(values.next().unwrap_or_default()),
                    Some('%') => text.push('%'),
                    _ => return Script::failing(1, "sh: 1: printf: invalid directive"),
                },
                _ => match chars.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('\\') => text.push('\\'),
                    Some(other) => text.extend(['\\', other]),
                    None => text.push('\\'),
                },
            }
        }
        if values.len() == 0 || values.len() == before {
            return Script::saying(text);
        }
    }
}

fn uname(arguments: &[String], system: &System) -> Script {
    let (name, architecture) = (system.hostname(), offer::machine(&system.machine.server_type));
    let version = "#1 SMP Windlass sandbox";
    let said = match arguments.first().map_or("-s", String::as_str) {
        "-a" | "--all" => format!("Linux {name} 6.1.0-sandbox {version} {architecture} GNU/Linux"),
        "-s" => "Linux".to_owned(),
        "-n" => name.to_owned(),
        "-r" => "6.1.0-sandbox".to_owned(),
        "-v" => version.to_owned(),
        "-m" => architecture.to_owned(),
        other => return Script::failing(1, format!("uname: unrecognized option '{other}'")),
    };
    Script::saying(format!("{said}\n"))
}

fn id(arguments: &[String]) -> Script {
    match arguments.first().map(String::as_str) {
        None => Script::saying("uid=0(root) gid=0(root) groups=0(root)\n"),
        Some("-u" | "-g") => Script::saying("0\n"),
        Some("-un" | "-gn") => Script::saying("root\n"),
        Some(other) => Script::failing(1, format!("id: '{other}': no such user")),
    }
}

fn uptime(system: &System) -> Script {
    let minutes = system.machine.age(system.now).as_secs() / 60;
    let clock = system.now.strftime("%H:%M:%S");
    Script::saying(format!(
        " {clock} up {minutes} min,  0 users,  load average: 0.00, 0.00, 0.00\n"
    ))
}

/// The machine's clock is UTC, with `-u` and without.
fn date(arguments: &[String], system: &System) -> Script {
    let format = match arguments {
        [] => "%a %b %e %H:%M:%S UTC %Y",
        [option] if option == "-u" => "%a %b %e %H:%M:%S UTC %Y",
        [option, format] if option == "-u" => format,
        [format] => format,
        _ => return Script::failing(1, "date: extra operand"),
    };
    let format = format.strip_prefix('+').unwrap_or(format);
    if !format.contains('%') {
        return Script::failing(1, format!("date: invalid date '{format}'"));
    }
    match jiff::fmt::strtime::format(format, &system.now.to_zoned(TimeZone::UTC)) {
        Ok(said) => Script::saying(format!("{said}\n")),
        Err(_) => Script::failing(1, format!("date: invalid date '{format}'")),
    }
}

fn sleep(arguments: &[String]) -> Script {
    let mut took = Duration::ZERO;
    for argument in arguments {
        let (number, unit) = match argument.char_indices().last() {
            Some((at, 's')) => (argument.get(..at), 1.0),
            Some((at, 'm')) => (argument.get(..at), 60.0),
            Some((at, 'h')) => (argument.get(..at), 3600.0),
            _ => (Some(argument.as_str()), 1.0),
        };
        let seconds = number.and_then(|number| number.parse::<f64>().ok());
        let wanted = seconds.map(|seconds| Duration::try_from_secs_f64(seconds * unit));
        match wanted {
            Some(Ok(wanted)) => took = took.saturating_add(wanted),
            _ => return Script::failing(1, format!("sleep: invalid time interval '{argument}'")),
        }
    }
    if arguments.is_empty() {
        return Script::failing(1, "sleep: missing operand");
    }
    Script { took, ..Script::default() }
}

fn cat(arguments: &[String], stdin: &[u8], system: &System) -> Script {
    let mut script = Script::default();
    let input = ["-".to_owned()];
    let paths = if arguments.is_empty() { &input[..] } else { arguments };
    for path in paths {
        let content = match path.as_str() {
            "-" => Ok(Some(stdin.to_vec())),
            path => system.files.read(path),
        };
        script = match content {
            Ok(Some(content)) => {
                script.with(Stream::Stdout, String::from_utf8_lossy(&content).into_owned())
            }
            _ => {
                let complaint = match system.files.is_folder(path) {
                    Ok(true) => format!("cat: {path}: Is a directory\n"),
                    _ => format!("cat: {path}: No such file or directory\n"),
                };
                let script = script.with(Stream::Stderr, complaint);
                Script { exit_code: 1, ..script }
            }
        };
    }
    script
}

fn ls(arguments: &[String], system: &System) -> Script {
    let (options, paths): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| argument.starts_with('-'));
    if let Some(option) = options.iter().find(|option| !["-1", "-a"].contains(&option.as_str())) {
        return Script::failing(2, format!("ls: the sandbox has no option '{option}'"));
    }
    let path = paths.first().map_or("/root", |path| path.as_str());
    let is_hidden = |name: &String| name.starts_with('.') && options.is_empty();
    if matches!(system.files.is_file(path), Ok(true)) {
        return Script::saying(format!("{path}\n"));
    }
    match (system.files.is_folder(path), system.files.list(path)) {
        (Ok(true), Ok(names)) => {
            let lines = names.iter().filter(|name| !is_hidden(name));
            Script::saying(lines.map(|name| format!("{name}\n")).collect::<String>())
        }
        _ => Script::failing(2, format!("ls: cannot access '{path}': No such file or directory")),
    }
}

fn mkdir(arguments: &[String], system: &System) -> Script {
    let (options, paths): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| argument.starts_with('-'));
    if options != ["-p"] || paths.is_empty() {
        return Script::failing(1, "mkdir: the sandbox has only mkdir -p FOLDER...");
    }
    for path in paths {
        if !matches!(system.files.make_folders(path), Ok(true)) {
            return Script::failing(1, format!("mkdir: cannot create directory '{path}'"));
        }
    }
    Script::default()
}

fn test(arguments: &[String], system: &System) -> Script {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let files = &system.files;
    let holds = match words.as_slice() {
        ["!", rest @ ..] => {
            let rest: Vec<String> = rest.iter().map(|&word| word.to_owned()).collect();
            let inner = test(&rest, system);
            return Script { exit_code: i32::from(inner.exit_code == 0), ..inner };
        }
        [] => Ok(false),
        [text] => Ok(!text.is_empty()),
        ["-n", text] => Ok(!text.is_empty()),
        ["-z", text] => Ok(text.is_empty()),
        ["-f", path] => files.is_file(path),
        ["-d", path] => files.is_folder(path),
        ["-e", path] => files.is_file(path).and_then(|is| Ok(is || files.is_folder(path)?)),
        [left, "=", right] => Ok(left == right),
        [left, "!=", right] => Ok(left != right),
        _ => return Script::failing(2, "sh: 1: test: unexpected operator"),
    };
    Script { exit_code: i32::from(!holds.unwrap_or(false)), ..Script::default() }
}
