//! Which library a function of a dependency belongs to.

use super::frame::Frame;
use crate::verdict::category::Runtime;

/// Hosts whose modules are named by owner and repository.
const HOSTS_OF_OWNERS: [&str; 4] = ["github.com", "gitlab.com", "bitbucket.org", "golang.org"];
/// The first part of packages that the second names with it, such as `io.netty`; others need a third.
const SHORT_PREFIXES: [&str; 6] = ["io", "net", "reactor", "kotlin", "scala", "akka"];

/// The library's name as its language's packages are named: `github.com/lib/pq`, `com.fasterxml.jackson`, `redis`.
pub(in crate::verdict) fn library_name(frame: &Frame) -> String {
    let text = frame.text.as_str();
    let parts = |separator: &str, count: usize| text.split(separator).take(count).collect::<Vec<_>>().join(separator);
    match frame.own {
        Some(Runtime::Go) => {
            let host = text.split('/').next().unwrap_or(text);
            let module = parts("/", if HOSTS_OF_OWNERS.contains(&host) { 3 } else { 2 });
            // The last part of a package's path carries the function: `github.com/lib/pq.(*conn).query`.
            let at = module.rfind('/').map_or(0, |slash| slash + 1);
            match module.get(at..).and_then(|last| last.find('.')).filter(|dot| *dot > 0) {
                Some(dot) => module.get(..at + dot).unwrap_or(&module).to_owned(),
                None => module,
            }
        }
        Some(Runtime::Jvm) => {
            let is_short = text.split('.').next().is_some_and(|first| SHORT_PREFIXES.contains(&first));
            parts(".", if is_short { 2 } else { 3 })
        }
        Some(Runtime::Dotnet) => parts(".", 2),
        Some(Runtime::Python) => parts(".", 1),
        Some(Runtime::Node) => {
            let text = text.rsplit("node_modules/").next().unwrap_or(text);
            text.split('/').take(if text.starts_with('@') { 2 } else { 1 }).collect::<Vec<_>>().join("/")
        }
        Some(Runtime::Php) => parts("\\", 1),
        _ => match &frame.library {
            Some(library) => library.clone(),
            None => parts("::", 1).trim_start_matches(['<', '&']).to_owned(),
        },
    }
}

/// The version in the path of a dependency's file: `/go/pkg/mod/github.com/lib/pq@v1.10.2/conn.go`,
/// `/gems/rack-2.2.3/lib/rack.rb`, `/.cargo/registry/src/index/serde_json-1.0.99/src/de.rs`.
pub(in crate::verdict) fn version_of_file(file: &str) -> Option<&str> {
    if let Some((_, after)) = file.rsplit_once("/pkg/mod/").and_then(|(_, path)| path.split_once('@')) {
        return after.split('/').next();
    }
    let folder = match file.rsplit_once("/gems/") {
        Some((_, path)) => path.split('/').next(),
        None => file.split_once("/.cargo/registry/src/").and_then(|(_, path)| path.split('/').nth(1)),
    };
    let (_, version) = folder?.rsplit_once('-')?;
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("github.com/lib/pq.(*conn).query", "", "github.com/lib/pq")]
    #[case("github.com/decred/dcrd/dcrec/secp256k1/v4.(*FieldVal).Set", "", "github.com/decred/dcrd")]
    #[case("golang.org/x/sys/unix.pread", "", "golang.org/x/sys")]
    #[case("modernc.org/sqlite/lib._balance", "", "modernc.org/sqlite")]
    #[case("go.uber.org/zap.(*Logger).Info", "", "go.uber.org/zap")]
    #[case("com/fasterxml/jackson/databind/ObjectMapper.writeValue", "", "com.fasterxml.jackson")]
    #[case("io.netty.channel.nio.NioEventLoop.run", "", "io.netty")]
    #[case("get", "/usr/lib/python3.11/site-packages/redis/client.py", "redis")]
    #[case("<serde_json::de::Deserializer<R>>::parse", "", "serde_json")]
    #[case("libz.so.1`inflate", "", "libz")]
    fn names_the_library(#[case] name: &str, #[case] file: &str, #[case] library: &str) {
        assert_eq!(library_name(&Frame::of(name, file)), library);
    }

    #[rstest]
    #[case("/go/pkg/mod/github.com/lib/pq@v1.10.2/conn.go", Some("v1.10.2"))]
    #[case("/usr/lib/ruby/gems/3.2.0/gems/rack-2.2.3/lib/rack.rb", Some("2.2.3"))]
    #[case("/home/ci/.cargo/registry/src/index.crates.io-6f17d22bba15001f/serde_json-1.0.99/src/de.rs", Some("1.0.99"))]
    #[case("/src/shop/cart.go", None)]
    #[case("/gems/my-gem/lib/a.rb", None)]
    fn reads_the_version_of_a_dependency(#[case] file: &str, #[case] version: Option<&str>) {
        assert_eq!(version_of_file(file), version);
    }
}
