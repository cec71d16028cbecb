//! Names that a JVM makes up anew in each run: their counters and addresses are left out, as Pyroscope does, so that the
//! same function has the same name in every profile.

use std::borrow::Cow;

/// The symbol, without what differs from run to run.
pub(super) fn merged(symbol: Cow<'_, str>) -> Cow<'_, str> {
    let changed = accessor(&symbol).or_else(|| lambda(&symbol)).or_else(|| library(&symbol)).or_else(|| cglib(&symbol));
    changed.map_or(symbol, Cow::Owned)
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn all_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `jdk/internal/reflect/GeneratedMethodAccessor31`
fn accessor(symbol: &str) -> Option<String> {
    let class = "jdk/internal/reflect/GeneratedMethodAccessor";
    symbol.strip_prefix(class).filter(|number| all_digits(number)).map(|_| format!("{class}_"))
}

/// `Fib$$Lambda$14/0x0000000800c01220`, `Fib$$Lambda.0x00007ffa600c4da0`, `Fib$$Lambda$669.1283928880`
fn lambda(symbol: &str) -> Option<String> {
    let (class, rest) = symbol.rsplit_once("$$Lambda").filter(|(class, _)| !class.is_empty())?;
    let is_address = || {
        let numbered = rest.strip_prefix('$').unwrap_or(rest);
        let address = numbered.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(['.', '/'])?;
        Some(all_hex(address.strip_prefix("0x").filter(|hex| !hex.is_empty()).unwrap_or(address)))
    };
    (all_digits(rest) || is_address() == Some(true)).then(|| format!("{class}$$Lambda_"))
}

/// Libraries that are unpacked under a new name in each run.
fn library(symbol: &str) -> Option<String> {
    let file = symbol.strip_suffix(" (deleted)").unwrap_or(symbol).strip_suffix(".so")?;
    let file = file.strip_prefix("./tmp/").or_else(|| file.strip_prefix("/tmp/")).unwrap_or(file);
    if let Some(rest) = file.strip_prefix("libzstd-jni-") {
        let (version, number) = rest.rsplit_once('-')?;
        let parts: Vec<_> = version.split('.').collect();
        let known = parts.len() == 3 && parts.iter().all(|part| all_digits(part)) && all_digits(number);
        return known.then(|| "libzstd-jni-_.so".to_owned());
    }
    if let Some(rest) = file.strip_prefix("libasyncProfiler-") {
        // The agent's own, by platform and digest.
        let digest =
            ["linux-arm64-", "linux-musl-x64-", "linux-x64-", "macos-"].iter().find_map(|p| rest.strip_prefix(p));
        return digest.filter(|digest| all_hex(digest)).map(|_| "libasyncProfiler-_.so".to_owned());
    }
    let rest = file.strip_prefix("lib").unwrap_or(file).strip_prefix("amazonCorrettoCryptoProvider")?;
    let rest = rest.strip_prefix("NativeLibraries.").unwrap_or(rest);
    let rest = rest
        .strip_suffix("/libcrypto")
        .or_else(|| rest.strip_suffix("/libamazonCorrettoCryptoProvider"))
        .unwrap_or(rest);
    (rest.len() == 16 && all_hex(rest)).then(|| "libamazonCorrettoCryptoProvider_.so".to_owned())
}

/// `Baz$$EnhancerBySpringCGLIB$$1234567890`
fn cglib(symbol: &str) -> Option<String> {
    let mark = "$$EnhancerBySpringCGLIB$$";
    let (class, _) = symbol.rsplit_once(mark).filter(|(class, _)| !class.is_empty())?;
    Some(format!("{class}{mark}_"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("org/example/Outer$$Lambda$4/1283928880", "org/example/Outer$$Lambda_")]
    #[case("org/example/Outer$$Lambda$8/0x0000000800c01220", "org/example/Outer$$Lambda_")]
    #[case("org/example/Outer$$Lambda$669.0x0000000800fd7318", "org/example/Outer$$Lambda_")]
    #[case("Fib$$Lambda.0x00007ffa600c4da0", "Fib$$Lambda_")]
    #[case("Fib$$Lambda31", "Fib$$Lambda_")]
    #[case("jdk/internal/reflect/GeneratedMethodAccessor31", "jdk/internal/reflect/GeneratedMethodAccessor_")]
    #[case("foo/Baz$$EnhancerBySpringCGLIB$$1234567890", "foo/Baz$$EnhancerBySpringCGLIB$$_")]
    #[case("libasyncProfiler-linux-x64-17b9a1d8156277a98ccc871afa9a8f69215f92.so", "libasyncProfiler-_.so")]
    #[case("/tmp/libzstd-jni-1.5.1-16931311898282279136.so (deleted)", "libzstd-jni-_.so")]
    #[case("libamazonCorrettoCryptoProvider109b39cf33c563eb.so", "libamazonCorrettoCryptoProvider_.so")]
    #[case(
        "./tmp/amazonCorrettoCryptoProviderNativeLibraries.7382c2f79097f415/libcrypto.so (deleted)",
        "libamazonCorrettoCryptoProvider_.so"
    )]
    fn leaves_out_what_differs_from_run_to_run(#[case] symbol: &str, #[case] expected: &str) {
        assert_eq!(merged(Cow::Borrowed(symbol)), expected);
    }

    #[rstest]
    #[case("java/util/concurrent/Executors$RunnableAdapter")]
    #[case("$$Lambda$4/1283928880")]
    #[case("Fib$$Lambda")]
    #[case("Fib$$Lambda$14")]
    #[case("libzstd-jni-1.5-169.so")]
    #[case("libjvm.so")]
    #[case("GeneratedMethodAccessor31")]
    fn leaves_other_names_as_they_are(#[case] symbol: &str) {
        assert_eq!(merged(Cow::Borrowed(symbol)), symbol);
    }
}
