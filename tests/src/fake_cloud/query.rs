//! A request's parameters.

/// A request's parameters, repeated ones included.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn new(raw: Option<String>) -> Self {
        let url = format!("http://fake/?{}", raw.unwrap_or_default());
        let url = reqwest::Url::parse(&url).unwrap();
        Self(url.query_pairs().into_owned().collect())
    }

    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the parameter lets this value through: it is not there, or it is one of its values.
    pub(crate) fn admits(&self, name: &str, value: &str) -> bool {
        self.first(name).is_none() || self.all(name).any(|wanted| wanted == value)
    }

    /// The parameter as a number greater than 0; none when it is something else.
    pub(crate) fn number(&self, name: &str, default: usize) -> Option<usize> {
        let Some(text) = self.first(name) else { return Some(default) };
        text.parse().ok().filter(|number| *number > 0)
    }
}
