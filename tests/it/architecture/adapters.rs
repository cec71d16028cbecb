//! Finds in the sources what constructs an adapter: each public function of a SOR that returns a port or an adapter, or
//! whose type is made from a database, another server, a port or an adapter.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::source::{Module, item_end};

static PORT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(?:dyn|impl)\s+(?:\w+::)*\w+Sor\b").unwrap());
static RESOURCE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(?:Db|Outward)\b").unwrap());
static ADAPTER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\bimpl\b(?:<[^{]*?>)?\s*(?:\w+::)*\w+Sor\s+for\s+(?:\w+::)*(\w+)").unwrap());
static IMPL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\bimpl\b(?:<[^{]*?>)?\s*(\w+)(?:<[^{]*?>)?\s*(?:where\b[^{]*)?\{").unwrap());
static FUNCTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\bpub(?:\(crate\))?\s+(?:const\s+)?(?:async\s+)?fn\s+(\w+)([^{;]*?)->([^{;]*)[{;]").unwrap()
});
static METHOD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\(\s*(?:&\s*(?:'\w+\s+)?)?(?:mut\s+)?self\b").unwrap());

/// The paths of all constructors of adapters, from the crate's root.
pub(super) fn constructors(modules: &[Module]) -> BTreeSet<String> {
    let sors: Vec<&Module> = modules.iter().filter(|module| !module.test && module.file.starts_with("sor/")).collect();
    let captures = sors.iter().flat_map(|module| ADAPTER.captures_iter(&module.code));
    let adapters: BTreeSet<String> = captures.map(|found| found[1].to_owned()).collect();
    let names_adapter = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|word| adapters.contains(word));
    let mut constructors = BTreeSet::new();
    for module in sors {
        for function in FUNCTION.captures_iter(&module.code).filter(|function| !METHOD.is_match(&function[2])) {
            let at = function.get(0).unwrap().start();
            let own = type_around(&module.code, at);
            let (takes, answers) = (&function[2], function[3].replace("Self", own.unwrap_or("Self")));
            let made_from_one = RESOURCE.is_match(takes) || PORT.is_match(takes) || names_adapter(takes);
            let answers_own = own.is_some_and(|own| answers.contains(own));
            if PORT.is_match(&answers) || names_adapter(&answers) || (answers_own && made_from_one) {
                let own = own.map(|own| format!("{own}::")).unwrap_or_default();
                constructors.insert(format!("{}::{own}{}", module.path, &function[1]));
            }
        }
    }
    constructors
}

/// The type of the `impl` around this position.
fn type_around(code: &str, at: usize) -> Option<&str> {
    let found = IMPL.captures_iter(code).find(|found| {
        let begin = found.get(0).unwrap().start();
        (begin..item_end(code, begin)).contains(&at)
    })?;
    found.get(1).map(|name| name.as_str())
}
