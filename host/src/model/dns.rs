//! Names in zones, and what stands there.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a name or a record was refused, as a sentence for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRecord(String);

impl InvalidRecord {
    fn new(text: &str, why: &str) -> Self {
        let shown: String = text.chars().take(80).collect();
        Self(format!("`{}` {why}", shown.escape_debug()))
    }
}

/// A full name in the DNS as zones have it: lower-case Punycode without a dot at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(String);

impl DnsName {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this zone's apex, or below it.
    pub fn is_in(&self, zone: &str) -> bool {
        self.0.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// It, the name above it, and so on, as long as that can be a zone.
    pub fn upwards(&self) -> impl Iterator<Item = &str> {
        let dots = self.0.match_indices('.').filter_map(|(dot, _)| self.0.get(dot + 1..));
        std::iter::once(self.0.as_str()).chain(dots).filter(|name| name.contains('.'))
    }
}

impl FromStr for DnsName {
    type Err = InvalidRecord;

    fn from_str(text: &str) -> Result<Self, InvalidRecord> {
        let refused = |why: &str| {
            let advice = "use the full name, such as app.example.com";
            InvalidRecord::new(text, &format!("is no DNS name: {why}; {advice}"))
        };
        if text.len() > 1_000 {
            return Err(refused("it is too long"));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        let name = idna::domain_to_ascii(text).map_err(|_invalid| refused("it cannot be one"))?;
        if name.len() > 253 || !name.contains('.') {
            return Err(refused("it has more than 253 characters, or no dot"));
        }
        for (index, label) in name.split('.').enumerate() {
            let is_wildcard = index == 0 && label == "*";
            if !is_wildcard && !is_label(label) {
                return Err(refused("each part is 1 to 63 of a-z, 0-9, - and _"));
            }
        }
        Ok(Self(name))
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DnsName {
    type Error = InvalidRecord;
    fn try_from(text: String) -> Result<Self, InvalidRecord> {
        text.parse()
    }
}

impl From<DnsName> for String {
    fn from(name: DnsName) -> Self {
        name.0
    }
}

/// The id of a zone or a record at whoever keeps it. Safe in a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsId(String);

impl DnsId {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DnsId {
    type Err = InvalidRecord;

    fn from_str(text: &str) -> Result<Self, InvalidRecord> {
        if (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidRecord::new(text, "is no id: use one that `zones` or `lookup` answered"))
    }
}

impl fmt::Display for DnsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DnsId {
    type Error = InvalidRecord;
    fn try_from(text: String) -> Result<Self, InvalidRecord> {
        text.parse()
    }
}

impl From<DnsId> for String {
    fn from(id: DnsId) -> Self {
        id.0
    }
}

/// A zone as somebody names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZoneRef {
    /// By its id, which is unique.
    Id(DnsId),
    /// By its name, or a name in it.
    Name(DnsName),
}

impl FromStr for ZoneRef {
    type Err = InvalidRecord;

    fn from_str(text: &str) -> Result<Self, InvalidRecord> {
        if text.contains('.') { text.parse().map(Self::Name) } else { text.parse().map(Self::Id) }
    }
}

impl fmt::Display for ZoneRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Whoever keeps it knows it by this.
    pub id: DnsId,
    /// Its apex.
    pub name: String,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content")]
pub enum Content {
    /// An address.
    A(Ipv4Addr),
    /// An IPv6 address.
    #[serde(rename = "AAAA")]
    Aaaa(Ipv6Addr),
    /// Another name.
    #[serde(rename = "CNAME")]
    Cname(DnsName),
    /// Text.
    #[serde(rename = "TXT")]
    Txt(String),
}

impl Content {
    /// Reads a record's content as its kind wants it.
    ///
    /// # Errors
    /// When it is none of that kind, or the kind is one that this host does not write.
    pub fn parse(kind: &str, text: &str) -> Result<Self, InvalidRecord> {
        let wrong = |why: &str| InvalidRecord::new(text, why);
        match kind {
            "A" => text.parse().map(Self::A).map_err(|_invalid| wrong("is no IPv4 address")),
            "AAAA" => text.parse().map(Self::Aaaa).map_err(|_invalid| wrong("is no IPv6 address")),
            "CNAME" => text.parse().map(Self::Cname),
            "TXT" if text.is_empty() || text.len() > 2_048 => {
                Err(wrong("is no text for a TXT record: use 1 to 2048 bytes"))
            }
            "TXT" => Ok(Self::Txt(text.to_owned())),
            _ => Err(InvalidRecord::new(
                kind,
                "is no kind of record that this host writes; use A, AAAA, CNAME or TXT",
            )),
        }
    }

    /// `A`, `AAAA`, `CNAME` or `TXT`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::A(_) => "A",
            Self::Aaaa(_) => "AAAA",
            Self::Cname(_) => "CNAME",
            Self::Txt(_) => "TXT",
        }
    }

    /// Whether a record of this kind and content says the same, however that is written.
    pub fn is_said_by(&self, kind: &str, text: &str) -> bool {
        let said = Self::parse(kind, text);
        match (self, said) {
            (Self::Txt(ours), Ok(Self::Txt(theirs))) => unquoted(ours) == unquoted(&theirs),
            (_, said) => said.as_ref() == Ok(self),
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => address.fmt(f),
            Self::Aaaa(address) => address.fmt(f),
            Self::Cname(name) => name.fmt(f),
            Self::Txt(text) => text.fmt(f),
        }
    }
}

/// A text as it is meant: zones may put it, or the parts of a long one, in quotes.
fn unquoted(text: &str) -> String {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) => inner.replace("\" \"", ""),
        None => text.to_owned(),
    }
}

/// A record to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Where.
    pub zone: ZoneRef,
    /// Its full name.
    pub name: DnsName,
    /// What it says.
    pub content: Content,
    /// Whether the provider stands between the name and the address.
    pub proxied: bool,
    /// Seconds, 1 for what the provider thinks best; none: as it is.
    pub ttl: Option<u32>,
    /// A remark for people.
    pub note: String,
    /// Whether a record that somebody else made may be taken over.
    pub force: bool,
}

/// A record that there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsRecord {
    /// Whoever keeps it knows it by this.
    pub id: DnsId,
    /// Its full name.
    pub name: String,
    /// `A`, `MX` …
    pub kind: String,
    /// What it says.
    pub content: String,
    /// Whether the provider stands between the name and the address.
    pub proxied: bool,
    /// Seconds; 1 for what the provider thinks best.
    pub ttl: u32,
    /// The remark on it.
    pub comment: Option<String>,
    /// Whether this host made it.
    pub ours: bool,
    /// Whether nothing real stands behind it.
    pub simulated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DnsName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_as_zones_have_them() {
        assert_eq!(name("Bücher.Example.COM.").as_str(), "xn--bcher-kva.example.com");
        assert_eq!(name("_acme-challenge.a.b").as_str(), "_acme-challenge.a.b");
        assert_eq!(name("*.example.com").as_str(), "*.example.com");
        for bad in ["", "@", "com", "a..b", "a b.c", "a/b.c", "a.*.b", "-a.b", "a.b?x=1", "a:b.c"] {
            assert!(bad.parse::<DnsName>().is_err(), "{bad}");
        }
        assert!(format!("{}.com", "a".repeat(64)).parse::<DnsName>().is_err());
    }

    #[test]
    fn a_name_is_in_its_zones_only() {
        assert!(name("a.example.com").is_in("example.com"));
        assert!(name("example.com").is_in("example.com"));
        assert!(!name("notexample.com").is_in("example.com"));
        let up: Vec<String> = name("a.b.example.com").upwards().map(str::to_owned).collect();
        assert_eq!(up, ["a.b.example.com", "b.example.com", "example.com"]);
    }

    #[test]
    fn contents_are_compared_by_what_they_mean() {
        let content = |kind, text| Content::parse(kind, text).unwrap();
        assert!(content("AAAA", "2001:DB8:0::1").is_said_by("AAAA", "2001:db8::1"));
        assert!(content("CNAME", "Web.Example.com.").is_said_by("CNAME", "web.example.com"));
        assert!(content("TXT", "ab").is_said_by("TXT", "\"a\" \"b\""));
        assert!(!content("TXT", "1.1.1.1").is_said_by("A", "1.1.1.1"));
        assert!(Content::parse("A", "1.2.3").is_err() && Content::parse("MX", "a.b").is_err());
    }

    #[test]
    fn what_could_lead_out_of_a_path_is_no_id() {
        for bad in ["", "..", "a/b", "a?b", "a%2f", &"a".repeat(33)] {
            assert!(bad.parse::<DnsId>().is_err(), "{bad}");
        }
        assert!(matches!("a.b".parse(), Ok(ZoneRef::Name(_))));
        assert!(matches!("64789f348d16a1ac1c1fd5cd8028476c".parse(), Ok(ZoneRef::Id(_))));
    }
}
