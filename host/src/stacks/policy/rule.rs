//! Whether a rule of a Traefik router can only match requests for an app's own names.

/// The deepest that a rule may be nested.
const DEEPEST: usize = 16;

/// Functions that look at something else than the host.
const OTHERS: [&str; 9] = [
    "Path",
    "PathPrefix",
    "PathRegexp",
    "Method",
    "Header",
    "HeaderRegexp",
    "Query",
    "QueryRegexp",
    "ClientIP",
];

/// Whether every request that the rule matches is for one of these names. None when the rule
/// cannot be read.
pub(super) fn is_confined(rule: &str, hosts: &[String]) -> Option<bool> {
    let mut reader = Reader { rest: rule.trim(), hosts };
    let confined = reader.either(0)?;
    reader.rest.is_empty().then_some(confined)
}

struct Reader<'a> {
    rest: &'a str,
    hosts: &'a [String],
}

impl<'a> Reader<'a> {
    /// `a || b`: both sides have to be confined.
    fn either(&mut self, depth: usize) -> Option<bool> {
        let mut confined = self.both(depth)?;
        while self.takes("||") {
            confined &= self.both(depth)?;
        }
        Some(confined)
    }

    /// `a && b`: one side is enough.
    fn both(&mut self, depth: usize) -> Option<bool> {
        let mut confined = self.single(depth)?;
        while self.takes("&&") {
            confined |= self.single(depth)?;
        }
        Some(confined)
    }

    fn single(&mut self, depth: usize) -> Option<bool> {
        if depth > DEEPEST {
            return None;
        }
        if self.takes("!") {
            self.single(depth + 1)?;
            return Some(false);
        }
        if self.takes("(") {
            let confined = self.either(depth + 1)?;
            return self.takes(")").then_some(confined);
        }
        self.function()
    }

    fn function(&mut self) -> Option<bool> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric())?;
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        let arguments = self.arguments()?;
        let is_own = |name: &&str| self.hosts.iter().any(|host| host.eq_ignore_ascii_case(name));
        match name {
            "Host" => Some(arguments.iter().all(is_own)),
            name if OTHERS.contains(&name) => Some(false),
            _ => None,
        }
    }

    /// Arguments between backticks, in which nothing has a second meaning.
    fn arguments(&mut self) -> Option<Vec<&'a str>> {
        let mut arguments = Vec::new();
        if !self.takes("(") {
            return None;
        }
        loop {
            if !self.takes("`") {
                return None;
            }
            let (argument, rest) = self.rest.split_once('`')?;
            arguments.push(argument);
            self.rest = rest;
            self.rest = self.rest.trim_start();
            if self.takes(")") {
                return Some(arguments);
            }
            if !self.takes(",") {
                return None;
            }
        }
    }

    /// Takes a sign and the space behind it, if it is next.
    fn takes(&mut self, sign: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(sign) else { return false };
        self.rest = if sign == "`" { rest } else { rest.trim_start_matches(' ') };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_confined_when_no_way_through_it_leads_to_another_name() {
        let hosts = ["a.example.com".to_owned(), "b.example.com".to_owned()];
        for (rule, confined) in [
            ("Host(`a.example.com`)", Some(true)),
            ("Host(`A.Example.com`)", Some(true)),
            ("Host(`a.example.com`, `b.example.com`)", Some(true)),
            ("Host(`a.example.com`) && PathPrefix(`/webhook`)", Some(true)),
            ("Host(`a.example.com`) || Host(`b.example.com`)", Some(true)),
            ("(Host(`a.example.com`) || Host(`b.example.com`)) && !Path(`/x`)", Some(true)),
            ("PathPrefix(`/`)", Some(false)),
            ("Host(`c.example.com`)", Some(false)),
            ("Host(`a.example.com`, `c.example.com`)", Some(false)),
            ("Host(`a.example.com`) || PathPrefix(`/`)", Some(false)),
            ("Host(`a.example.com`) && Path(`/`) || Path(`/`)", Some(false)),
            ("!Host(`a.example.com`)", Some(false)),
            ("!(Host(`a.example.com`)) && Host(`b.example.com`)", Some(true)),
            ("HostRegexp(`.*`)", None),
            ("HostSNI(`*`)", None),
            ("Host(\"a.example.com\")", None),
            ("Host(`a.example.com`) Host(`c.example.com`)", None),
            ("Host(`a.example.com`", None),
            ("host(`a.example.com`)", None),
            ("", None),
        ] {
            assert_eq!(is_confined(rule, &hosts), confined, "{rule}");
        }
        assert_eq!(is_confined(&"(".repeat(100_000), &hosts), None);
        assert_eq!(is_confined(&"!".repeat(100_000), &hosts), None);
    }
}
