//! What the catalogue says of each function of a profile.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use super::function_info::FunctionInfo;
use super::origin;
use super::pattern::split;
use super::rule::{Reach, RuleIndex};
use super::rules::Rules;
use crate::profile::Profile;
use crate::verdict::category::{Origin, Runtime};
use crate::verdict::names::{Frame, MODULE_BODY, is_entry};

/// What is known of each function of the profile, in order.
pub(in crate::verdict) fn function_infos(rules: &Rules, profile: &Profile) -> Vec<FunctionInfo> {
    rules.name_cache.of_each(profile, |name, file| learn(rules, name, file))
}

/// What is known of a function by its name and file, the long way.
fn learn(rules: &Rules, name: &str, file: &str) -> FunctionInfo {
    let frame = Frame::of(name, file);
    if frame.unresolved {
        return FunctionInfo { own: frame.own, unresolved: true, ..FunctionInfo::default() };
    }
    let origin = origin::of(rules, &frame, file);
    let [rule, rule_in_jvm] = rules.rules_of(&frame);
    let own_body = is_body_of_own_module(&frame, origin);
    let plain_word =
        frame.own.is_none() && frame.text.bytes().all(|b| b.is_ascii_lowercase()) && !is_c_word(&frame.text);
    let of_node = |rule: &RuleIndex| rules.rule(*rule).is_some_and(|rule| rule.runtime == Runtime::Node);
    FunctionInfo {
        own: frame.own,
        rule,
        rule_in_php: if frame.own.is_none() { rules.rule_of(&frame, Some(Runtime::Php)) } else { None },
        rule_in_jvm,
        cause: rule.or(rule_in_jvm).and_then(|rule| rules.cause_of(&frame, rule)),
        rule_in_node: if plain_word { rules.rule_of(&frame, Some(Runtime::Node)).filter(of_node) } else { None },
        plain_word,
        unresolved: false,
        at_most: ((rule.is_some() || rule_in_jvm.is_some()) && (rules.wraps(&frame) || own_body))
            .then_some(Reach::Wrapper),
        origin,
        entry: is_entry(name),
        // The other functions of a module are no part of loading it.
        package: if own_body { 0 } else { package(&frame) },
    }
}

/// Words that only the C library uses as names of functions.
fn is_c_word(text: &str) -> bool {
    ["mem", "str"].iter().any(|p| text.starts_with(p)) || text.ends_with("alloc") || text == "cfree"
}

/// The path of a name without its function and, where it begins with a capital, its class.
fn package(frame: &Frame) -> u64 {
    let tokens: Vec<&str> = split(&frame.text).collect();
    let mut end = tokens.len().saturating_sub(1);
    let classy = |t: &&str| t.starts_with(|c: char| c.is_ascii_uppercase());
    if end > 1 && tokens.get(end - 1).is_some_and(classy) {
        end -= 1;
    }
    let Some(path) = tokens.get(..end).filter(|p| !p.is_empty()) else { return 0 };
    let mut hasher = FxHasher::default();
    for token in path {
        hasher.write(token.as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish() | 1
}

/// Whether it is the body of a Python module of the application. Importing it is loading; the functions of the application
/// that it calls are the program.
fn is_body_of_own_module(frame: &Frame, origin: Origin) -> bool {
    origin == Origin::App && frame.own == Some(Runtime::Python) && frame.text.rsplit('.').next() == Some(MODULE_BODY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ProfileBuilder, SampleType};

    #[test]
    fn a_context_stands_for_each_of_its_runtimes() {
        let names =
            ["runtime.scanobject", "java.util.HashMap.resize", "malloc", "read", "json_encode", "Monitor::wait"];
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        for name in names {
            builder.function(name, "");
        }
        for (info, name) in function_infos(&Rules::builtin(), &builder.build()).iter().zip(names) {
            for runtime in Runtime::ALL.iter().copied().map(Some).chain([None]) {
                assert_eq!(info.rule(FunctionInfo::context(runtime)), info.rule(runtime), "{name} in {runtime:?}");
            }
        }
    }
}
