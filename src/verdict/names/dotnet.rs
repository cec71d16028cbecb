//! .NET methods: `Namespace!Class.Method`, `Module!Namespace.Class.Method(args)`, plain dots, state machines.

use super::text::without_groups;

/// The dotted name if this is the spelling of a .NET method. `None` otherwise.
pub(super) fn canonical(name: &str) -> Option<String> {
    if name.contains("|fn:") {
        return Some(datadog(name));
    }
    // Pyroscope's profiler leaves out the name of the type where it is System.String.
    if let Some(method) = name.strip_prefix("!.") {
        return Some(format!("System.String.{}", plain(method)));
    }
    if let Some((module, method)) = name.split_once('!') {
        let native = module.contains(['/', ' ', '`']) || !method.contains('.') || method.contains("::");
        return (!native).then(|| joined(module, method));
    }
    let known = ["System.", "Microsoft.", "Interop/", "Interop.", "Internal.", "MS.", "Windows."];
    known.iter().any(|prefix| name.starts_with(prefix)).then(|| plain(name))
}

fn datadog(name: &str) -> String {
    let field = |key: &str| {
        name.split('|').find_map(|part| part.trim().strip_prefix(key)).map(str::trim).filter(|v| !v.is_empty())
    };
    let parts = [field("ns:"), field("ct:"), field("fn:")];
    plain(&parts.into_iter().flatten().collect::<Vec<_>>().join("."))
}

fn joined(module: &str, method: &str) -> String {
    let ending = module.rsplit('.').next();
    let assembly = matches!(ending, Some("il" | "dll")) || module == "System.Private.CoreLib";
    let root = module.split('.').next().unwrap_or(module);
    let whole = method.split('.').next() == Some(root) && method.split('.').count() > 2;
    if assembly || whole { plain(method) } else { plain(&format!("{module}.{method}")) }
}

/// No arguments, generics or state machines; `/` and `+` of nested classes become dots.
pub(super) fn plain(name: &str) -> String {
    let name = if name.starts_with('(') { name } else { name.split('(').next().unwrap_or(name) };
    let mut text = state_machines(name);
    text = without_groups(&text, '[', ']');
    text = without_groups(&text, '<', '>');
    let text = text.replace(['/', '+'], ".").replace("..ctor", ".ctor").replace("..cctor", ".cctor");
    let tokens: Vec<&str> =
        text.split('.').map(|t| t.split('`').next().unwrap_or(t)).filter(|t| !t.is_empty()).collect();
    let text = tokens.join(".");
    text.rsplit(' ').next().unwrap_or(&text).to_owned()
}

/// `Foo+<Bar>d__6.MoveNext` → `Foo.Bar`; `<>c.<Main>b__0` → `Main`.
fn state_machines(name: &str) -> String {
    let mut text = name.replace("<>c__DisplayClass", "").replace("<>c", "");
    for end in [">d__", ">b__", ">g__", ">d"] {
        while let Some(close) = text.find(end) {
            let Some(open) = text.get(..close).and_then(|t| t.rfind('<')) else { break };
            let inner = text.get(open + 1..close).unwrap_or("").to_owned();
            let tail = text.get(close + end.len()..).unwrap_or("");
            let skip = tail.find(['.', '>', '(']).unwrap_or(tail.len());
            let mut rest = tail.get(skip..).unwrap_or("").to_owned();
            if rest.starts_with(".MoveNext") {
                rest = rest.replacen(".MoveNext", "", 1);
            }
            text.truncate(open);
            text.push_str(&inner);
            text.push_str(&rest);
        }
    }
    text
}
