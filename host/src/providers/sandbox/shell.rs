//! A small honest shell: simple commands joined by `;`, `&&` and `||`, quotes, `$?`, a few
//! variables, and redirection to `/dev/null` and between the streams. What it does not know it
//! refuses as a real one refuses what is not there; it never pretends.

use std::iter::Peekable;
use std::str::Chars;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::providers::sandbox::commands::{self, System};
use crate::ssh::Stream;

/// How deep `sh -c` may call itself.
const DEPTH: u32 = 8;

/// What a line did: what it said and when, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Script {
    /// In order.
    pub(super) said: Vec<Said>,
    /// 0 to 255.
    pub(super) exit_code: i32,
    /// From start to end.
    pub(super) took: Duration,
    /// Whether nothing after it is run.
    #[serde(skip)]
    pub(super) is_exit: bool,
}

/// A piece of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    /// After the start.
    pub(super) after: Duration,
    /// Where.
    pub(super) stream: Stream,
    /// What.
    pub(super) text: String,
}

/// A line, understood.
struct Line(Vec<(Joint, Simple)>);

#[derive(Clone, Copy)]
enum Joint {
    Always,
    And,
    Or,
}

#[derive(Default)]
struct Simple {
    words: Vec<Vec<Piece>>,
    redirections: Vec<(Stream, Target)>,
    has_no_input: bool,
}

enum Piece {
    Text(String),
    Variable(String),
}

#[derive(Clone, Copy)]
enum Target {
    Stream(Stream),
    Null,
}

impl Script {
    /// A command that said this and succeeded.
    pub(super) fn saying(text: impl Into<String>) -> Self {
        Self::default().with(Stream::Stdout, text.into())
    }

    /// A command that failed with this complaint.
    pub(super) fn failing(exit_code: i32, complaint: impl Into<String>) -> Self {
        let complaint = format!("{}\n", complaint.into());
        Self { exit_code, ..Self::default() }.with(Stream::Stderr, complaint)
    }

    /// The same, having said this at its end.
    pub(super) fn with(mut self, stream: Stream, text: String) -> Self {
        if !text.is_empty() {
            self.said.push(Said { after: self.took, stream, text });
        }
        self
    }

    /// This and then the other one, redirected.
    fn then(&mut self, next: Self, out: Target, err: Target) {
        for said in next.said {
            let target = match said.stream {
                Stream::Stdout => out,
                Stream::Stderr => err,
            };
            if let Target::Stream(stream) = target {
                self.said.push(Said { after: self.took + said.after, stream, text: said.text });
            }
        }
        self.took += next.took;
        self.exit_code = next.exit_code;
        self.is_exit = next.is_exit;
    }
}

/// Runs a line as `sh -c` would.
pub(super) fn run(line: &str, stdin: &[u8], system: &System, depth: u32) -> Script {
    if depth > DEPTH {
        return Script::failing(2, "sh: 1: the sandbox's shell does not nest that deep");
    }
    let Line(parts) = match Line::parse(line) {
        Ok(line) => line,
        Err(reason) => return Script::failing(2, format!("sh: 1: Syntax error: {reason}")),
    };
    let mut script = Script::default();
    for (joint, simple) in parts {
        let is_due = match joint {
            Joint::Always => true,
            Joint::And => script.exit_code == 0,
            Joint::Or => script.exit_code != 0,
        };
        if !is_due {
            continue;
        }
        let words = simple.expand(script.exit_code, system);
        let stdin = if simple.has_no_input { &[] } else { stdin };
        let (out, err) = simple.targets();
        let ran = match words.split_first() {
            None => Script::default(),
            Some((name, arguments)) if name == "sh" || name == "bash" => {
                nested(arguments, stdin, system, depth)
            }
            Some((name, arguments)) if name == "exit" => leave(arguments, script.exit_code),
            Some((name, arguments)) => commands::run(name, arguments, stdin, system),
        };
        script.then(ran, out, err);
        if script.is_exit {
            break;
        }
    }
    script
}

fn nested(arguments: &[String], stdin: &[u8], system: &System, depth: u32) -> Script {
    match arguments {
        [option, line, ..] if option == "-c" => {
            Script { is_exit: false, ..run(line, stdin, system, depth + 1) }
        }
        _ => Script::failing(2, "sh: 0: the sandbox's shell takes only -c LINE"),
    }
}

fn leave(arguments: &[String], last: i32) -> Script {
    match arguments.first().map(|code| code.parse::<u8>()) {
        None => Script { exit_code: last, is_exit: true, ..Script::default() },
        Some(Ok(code)) => Script { exit_code: code.into(), is_exit: true, ..Script::default() },
        Some(Err(_)) => {
            Script { is_exit: true, ..Script::failing(2, "sh: 1: exit: Illegal number") }
        }
    }
}

impl Simple {
    fn expand(&self, last: i32, system: &System) -> Vec<String> {
        let value = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Variable(name) => match name.as_str() {
                "?" => last.to_string(),
                "HOME" | "PWD" => "/root".to_owned(),
                "USER" | "LOGNAME" => "root".to_owned(),
                "HOSTNAME" => system.hostname().to_owned(),
                _ => String::new(),
            },
        };
        self.words.iter().map(|word| word.iter().map(value).collect()).collect()
    }

    /// Where its streams go, the redirections taken from left to right.
    fn targets(&self) -> (Target, Target) {
        let mut targets = (Target::Stream(Stream::Stdout), Target::Stream(Stream::Stderr));
        for &(from, to) in &self.redirections {
            let to = match to {
                Target::Stream(Stream::Stdout) => targets.0,
                Target::Stream(Stream::Stderr) => targets.1,
                Target::Null => Target::Null,
            };
            match from {
                Stream::Stdout => targets.0 = to,
                Stream::Stderr => targets.1 = to,
            }
        }
        targets
    }

    const fn is_empty(&self) -> bool {
        self.words.is_empty() && self.redirections.is_empty() && !self.has_no_input
    }
}

impl Line {
    fn parse(text: &str) -> Result<Self, String> {
        let mut chars = text.chars().peekable();
        let mut commands = Vec::new();
        let mut joint = Joint::Always;
        let mut simple = Simple::default();
        while let Some(&char) = chars.peek() {
            match char {
                ' ' | '\t' | '\r' => drop(chars.next()),
                '#' => while chars.next_if(|&char| char != '\n').is_some() {},
                ';' | '\n' => {
                    chars.next();
                    push(&mut commands, joint, &mut simple, char == ';')?;
                    joint = Joint::Always;
                }
                '&' | '|' => {
                    chars.next();
                    if chars.next_if_eq(&char).is_none() {
                        return Err(format!("the sandbox's shell has no `{char}`"));
                    }
                    push(&mut commands, joint, &mut simple, true)?;
                    joint = if char == '&' { Joint::And } else { Joint::Or };
                }
                '(' | ')' | '`' => return Err(format!("the sandbox's shell has no `{char}`")),
                '<' => {
                    chars.next();
                    null(&mut chars)?;
                    simple.has_no_input = true;
                }
                '>' => simple.redirections.push(redirection(&mut chars, Stream::Stdout)?),
                _ => word_or_redirection(&mut chars, &mut simple)?,
            }
        }
        if !simple.is_empty() || !matches!(joint, Joint::Always) {
            push(&mut commands, joint, &mut simple, true)?;
        }
        Ok(Self(commands))
    }
}

fn push(
    commands: &mut Vec<(Joint, Simple)>,
    joint: Joint,
    simple: &mut Simple,
    is_needed: bool,
) -> Result<(), String> {
    let simple = std::mem::take(simple);
    if simple.is_empty() {
        let is_open = !matches!(joint, Joint::Always);
        return if is_needed || is_open { Err("command expected".to_owned()) } else { Ok(()) };
    }
    commands.push((joint, simple));
    Ok(())
}

/// A word, unless it is the number of a stream right before `>`.
fn word_or_redirection(chars: &mut Peekable<Chars<'_>>, simple: &mut Simple) -> Result<(), String> {
    let mut ahead = chars.clone();
    let stream = match ahead.next() {
        Some('1') => Some(Stream::Stdout),
        Some('2') => Some(Stream::Stderr),
        _ => None,
    };
    if let Some(stream) = stream
        && ahead.peek() == Some(&'>')
    {
        chars.next();
        simple.redirections.push(redirection(chars, stream)?);
    } else {
        simple.words.push(word(chars)?);
    }
    Ok(())
}

fn redirection(chars: &mut Peekable<Chars<'_>>, from: Stream) -> Result<(Stream, Target), String> {
    chars.next();
    if chars.next_if_eq(&'&').is_some() {
        return match chars.next() {
            Some('1') => Ok((from, Target::Stream(Stream::Stdout))),
            Some('2') => Ok((from, Target::Stream(Stream::Stderr))),
            _ => Err("the sandbox's shell redirects only to &1 and &2".to_owned()),
        };
    }
    chars.next_if_eq(&'>');
    null(chars)?;
    Ok((from, Target::Null))
}

fn null(chars: &mut Peekable<Chars<'_>>) -> Result<(), String> {
    while chars.next_if(|char| *char == ' ').is_some() {}
    match word(chars)?.as_slice() {
        [Piece::Text(path)] if path == "/dev/null" => Ok(()),
        _ => Err("the sandbox's shell redirects only to and from /dev/null".to_owned()),
    }
}

fn word(chars: &mut Peekable<Chars<'_>>) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    while let Some(char) = chars.next_if(|char| !" \t\r\n;&|<>()`".contains(*char)) {
        match char {
            '\'' => quoted(chars, &mut text)?,
            '"' => double_quoted(chars, &mut text, &mut pieces)?,
            '\\' => text.extend(chars.next().filter(|next| *next != '\n')),
            '$' => variable(chars, &mut text, &mut pieces)?,
            _ => text.push(char),
        }
    }
    if !text.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

fn quoted(chars: &mut Peekable<Chars<'_>>, text: &mut String) -> Result<(), String> {
    loop {
        match chars.next() {
            Some('\'') => return Ok(()),
            Some(char) => text.push(char),
            None => return Err("Unterminated quoted string".to_owned()),
        }
    }
}

fn double_quoted(
    chars: &mut Peekable<Chars<'_>>,
    text: &mut String,
    pieces: &mut Vec<Piece>,
) -> Result<(), String> {
    loop {
        match chars.next() {
            Some('"') => return Ok(()),
            Some('\\') => match chars.next_if(|next| "$`\"\\\n".contains(*next)) {
                Some('\n') => {}
                Some(escaped) => text.push(escaped),
                None => text.push('\\'),
            },
            Some('$') => variable(chars, text, pieces)?,
            Some('`') => return Err("the sandbox's shell has no ``` ` ```".to_owned()),
            Some(char) => text.push(char),
            None => return Err("Unterminated quoted string".to_owned()),
        }
    }
}

fn variable(
    chars: &mut Peekable<Chars<'_>>,
    text: &mut String,
    pieces: &mut Vec<Piece>,
) -> Result<(), String> {
    let is_name = |char: &char| char.is_ascii_alphanumeric() || *char == '_';
    let name: String = match chars.peek() {
        Some('(') => return Err("the sandbox's shell has no `$(`".to_owned()),
        Some('?') => chars.next().into_iter().collect(),
        Some('{') => {
            chars.next();
            let name = std::iter::from_fn(|| chars.next_if(|char| is_name(char) || *char == '?'));
            let name = name.collect();
            if chars.next() != Some('}') {
                return Err("Bad substitution".to_owned());
            }
            name
        }
        Some(char) if is_name(char) => std::iter::from_fn(|| chars.next_if(is_name)).collect(),
        _ => {
            text.push('$');
            return Ok(());
        }
    };
    pieces.push(Piece::Text(std::mem::take(text)));
    pieces.push(Piece::Variable(name));
    Ok(())
}
