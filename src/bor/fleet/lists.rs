//! The comma lists that callers give.

use std::collections::BTreeSet;

use crate::http::{Code, Problem};
use crate::kernel::AppName;
use crate::verdict::Category;

/// Apps that one request may name.
const MOST_APPS: usize = 1_000;
/// Categories that cost nothing, or that cannot be changed.
const HIDDEN: [Category; 3] = [Category::Idle, Category::ProfilerOverhead, Category::Unresolved];

/// Reads a comma list of apps; repeats collapse.
pub(super) fn apps(text: &str) -> Result<Vec<AppName>, Problem> {
    let invalid = |detail: String| Problem::field(Code::ParameterInvalid, "apps", detail);
    let mut apps = BTreeSet::new();
    for name in text.split(',').map(str::trim) {
        if name.is_empty() {
            return Err(invalid("must be a comma-separated list of apps without gaps".to_owned()));
        }
        apps.insert(name.parse().map_err(|e: crate::kernel::InvalidName| invalid(format!("an app's name {e}")))?);
        if apps.len() > MOST_APPS {
            return Err(invalid(format!("must name at most {MOST_APPS} apps; all are read if it is not given")));
        }
    }
    Ok(apps.into_iter().collect())
}

/// Reads a comma list of categories to leave out. An empty text leaves out none; without a text the usual ones are left
/// out.
pub(super) fn excluded(text: Option<&str>) -> Result<Vec<Category>, Problem> {
    match text.map(str::trim) {
        None => Ok(HIDDEN.to_vec()),
        Some("") => Ok(Vec::new()),
        Some(text) => text.split(',').map(|id| category(id.trim())).collect(),
    }
}

fn category(id: &str) -> Result<Category, Problem> {
    id.parse().map_err(|why: String| {
        let known = Category::ALL.iter().map(|category| category.as_str()).collect::<Vec<_>>().join(", ");
        Problem::field(Code::ParameterInvalid, "exclude", format!("{why}: valid are {known}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("shop", &["shop"])]
    #[case(" shop , cart,shop", &["cart", "shop"])]
    fn reads_apps_once_and_sorted(#[case] text: &str, #[case] names: &[&str]) {
        assert_eq!(apps(text).unwrap().iter().map(AppName::as_str).collect::<Vec<_>>(), names);
    }

    #[rstest]
    #[case("", "without gaps")]
    #[case("shop,,cart", "without gaps")]
    #[case(&"x".repeat(513), "an app's name is 513 bytes long")]
    #[case(&(0..1_001).map(|n| n.to_string()).collect::<Vec<_>>().join(","), "at most 1000 apps")]
    fn refuses_lists_that_name_no_apps_or_too_many(#[case] text: &str, #[case] detail: &str) {
        let problem = apps(text).unwrap_err();
        assert!(problem.code() == Code::ParameterInvalid && problem.detail().contains(detail), "{problem}");
    }

    #[test]
    fn a_thousand_apps_may_be_named_however_often() {
        let names: Vec<_> = (0..2_000).map(|n| (n % 1_000).to_string()).collect();
        assert_eq!(apps(&names.join(",")).unwrap().len(), 1_000);
    }

    #[rstest]
    #[case(None, &HIDDEN)]
    #[case(Some(""), &[])]
    #[case(Some("gc_pressure, idle"), &[Category::GcPressure, Category::Idle])]
    fn leaves_out_what_is_asked(#[case] text: Option<&str>, #[case] expected: &[Category]) {
        assert_eq!(excluded(text).unwrap(), expected);
    }

    #[rstest]
    #[case("waste")]
    #[case("idle,")]
    fn refuses_a_category_that_is_none(#[case] text: &str) {
        assert!(excluded(Some(text)).unwrap_err().detail().contains("valid are gc_pressure, allocation"));
    }
}
