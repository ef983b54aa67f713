//! Lists that are longer than a page of the API, as one.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Answer, Client, Failure};
use crate::api::MAX_LIMIT;
use crate::cli::operate::Page;

/// As much of a list as was asked for.
#[derive(Debug)]
pub(in crate::command) struct List {
    /// The name of the list in the answer.
    name: &'static str,
    entries: Vec<Value>,
    next: Option<String>,
    from: String,
}

impl Client {
    /// Asks for a list page by page, until there is as much as is wanted, or no more.
    pub(in crate::command) async fn list(
        &self,
        path: &str,
        name: &'static str,
        query: &[(&str, Option<&str>)],
        page: &Page,
    ) -> Result<List, Failure> {
        let mut list = List { name, entries: Vec::new(), next: page.before.clone(), from: String::new() };
        let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
        loop {
            let left = wanted.saturating_sub(list.entries.len()).min(MAX_LIMIT as usize).to_string();
            let before = list.next.take();
            let paging = [("limit", Some(left.as_str())), ("before", before.as_deref())];
            let answer = self.get(path, &[query, &paging].concat()).await?;
            list.add(&answer)?;
            // A daemon that says the same twice would keep us for ever.
            if list.entries.len() >= wanted || list.next.is_none() || list.next == before {
                return Ok(list);
            }
        }
    }
}

impl List {
    /// Adds a page.
    fn add(&mut self, answer: &Answer) -> Result<(), Failure> {
        let mut page: Map<String, Value> = answer.read()?;
        self.from.clone_from(&answer.from);
        self.next = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if let Some(Value::Array(entries)) = page.remove(self.name) {
            self.entries.extend(entries);
        } else {
            let why = format!("its answer has no `{}`", self.name);
            return Err(Failure::Failed(super::stranger(&answer.from, &why)));
        }
        Ok(())
    }

    /// The entries as what they should be.
    pub(in crate::command) fn read<T: DeserializeOwned>(&self) -> Result<Vec<T>, Failure> {
        serde_json::from_value(Value::Array(self.entries.clone())).map_err(|error| super::unfit(&self.from, &error))
    }

    /// All of it as one document of the API's form.
    pub(in crate::command) fn json(&self) -> Result<String, Failure> {
        self.answer()?.json()
    }

    /// How to go on, if it was cut off.
    pub(in crate::command) fn more(&self) -> Option<String> {
        let next = self.next.as_deref()?;
        Some(format!(
            "there is more: go on with `--before {}`, or ask for more than {} with `--limit`",
            crate::sink::readable::printable(next),
            self.entries.len()
        ))
    }

    fn answer(&self) -> Result<Answer, Failure> {
        let mut page = Map::new();
        page.insert(self.name.to_owned(), Value::Array(self.entries.clone()));
        page.insert("next".to_owned(), self.next.clone().map_or(Value::Null, Value::String));
        let bytes = serde_json::to_vec(&page).map_err(|error| Failure::Failed(error.to_string()))?;
        Ok(Answer { bytes: bytes.into(), from: self.from.clone() })
    }
}
