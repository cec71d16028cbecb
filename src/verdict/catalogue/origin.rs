//! Whose code a function is: the application's, a library's, or the runtime's and its standard library's.

use super::rules::Rules;
use crate::verdict::category::{Origin, Runtime};
use crate::verdict::names::{Frame, is_standard};

const LIBRARY_PLACES: [&str; 9] = [
    "site-packages/",
    "dist-packages/",
    "node_modules/",
    "/gems/",
    "/pkg/mod/",
    "/.cargo/registry/",
    "/.cargo/git/",
    "/vendor/",
    "/.nuget/",
];

/// By the catalogue's lists first, then by the packages of its rules, then by where its file stands, then by how the
/// language names things.
pub(in crate::verdict) fn of(rules: &Rules, frame: &Frame, file: &str) -> Origin {
    let listed = |name| rules.is_runtime(frame.own, name);
    if let Some(runtime) = listed(&frame.text).or_else(|| listed(trait_of(frame)?)) {
        return if runtime { Origin::Runtime } else { Origin::Library };
    }
    if rules.is_in_known_package(frame.own, &frame.text) {
        return Origin::Library;
    }
    if LIBRARY_PLACES.iter().any(|place| file.contains(place)) || frame.text.starts_with("node_modules/") {
        return Origin::Library;
    }
    match frame.own {
        Some(Runtime::Kernel) => Origin::Runtime,
        Some(Runtime::Go) if is_standard(&frame.text) => Origin::Runtime,
        Some(Runtime::Node) if frame.text.starts_with('(') => Origin::Runtime,
        Some(Runtime::Python) if file.starts_with("<frozen") || file.contains("/lib/python") => Origin::Runtime,
        Some(Runtime::Native) if is_in(frame, &["libpython", "libruby", "libjvm", "libc", "libpthread"]) => {
            Origin::Runtime
        }
        Some(Runtime::Native | Runtime::Rust) if is_in_system_library(frame) => Origin::Library,
        None if frame.library.is_some() => Origin::Library,
        // A bare C symbol: the kernel's and the C library's are far more than an application's.
        None if rules.rule_of(frame, None).is_some() => Origin::Runtime,
        _ => Origin::App,
    }
}

/// Whether the name carries a shared library, `libsystem_kernel` or `libcurl`. A program's own module has another name.
fn is_in_system_library(frame: &Frame) -> bool {
    frame.library.as_deref().is_some_and(|library| library.starts_with("lib"))
}

/// Whether the name carries one of these libraries.
fn is_in(frame: &Frame, libraries: &[&str]) -> bool {
    frame.library.as_deref().is_some_and(|library| libraries.contains(&library))
}

/// What a trait's method on a primitive or on a type parameter is named after: `<u64 as core::iter::range::Step>::forward`
/// and `<T as core::convert::Into<U>>::into` are the trait's, since such types stand in no crate.
fn trait_of(frame: &Frame) -> Option<&str> {
    frame.alt.as_deref().filter(|_| frame.own == Some(Runtime::Rust) && frame.text.matches("::").count() == 1)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::module_of_the_program("short_url`quanta::Calibration::calibrate", "", Origin::App)]
    #[case::shared_library("libsystem_kernel.dylib`mach_absolute_time", "", Origin::Library)]
    #[case::interpreter("os_write (libpython3.11.so.1.0)", "", Origin::Runtime)]
    #[case::generated(
        "_flush (<sqlalchemy generated warned() wrapper for sqlalchemy.orm.Session._flush>:2)",
        "",
        Origin::Library
    )]
    #[case::go_service("github.com/acme/shop.(*Cart).Sum", "", Origin::App)]
    #[case::go_module_without_a_host("shop/cart.Sum", "/src/shop/cart/cart.go", Origin::App)]
    #[case::go_package_of_its_own("shop.(*Price).sum", "/src/shop/price.go", Origin::App)]
    #[case::go_main("main.main", "/src/shop/main.go", Origin::App)]
    #[case::go_standard("encoding/json.Marshal", "", Origin::Runtime)]
    #[case::go_runtime("runtime.mallocgc", "/usr/local/go/src/runtime/malloc.go", Origin::Runtime)]
    #[case::go_assembly("aeshashbody", "/usr/local/go/src/runtime/asm_amd64.s", Origin::Runtime)]
    #[case::go_library("github.com/klauspost/compress/zstd.(*Decoder).Reset", "", Origin::Library)]
    #[case::package_of_a_rule("asyncpg/connection.py:fetch", "", Origin::Library)]
    #[case::java_package_of_a_rule("org.jooq.impl.AbstractQuery.execute", "", Origin::Library)]
    #[case::name_of_a_rule_in_a_package_of_the_app("com.acme.Cart.fillInStackTrace", "", Origin::App)]
    #[case::python_service("shop/cart.py:total", "", Origin::App)]
    #[case::python_standard_from_its_own_folder("total (statistics.py:12)", "", Origin::Runtime)]
    #[case::python_library_from_its_own_folder("fit (sklearn/svm/_base.py:12)", "", Origin::Library)]
    #[case::python_file_of_that_name("total (shop/statistics.py:12)", "", Origin::App)]
    #[case::node_service("total", "/srv/shop/src/cart.js", Origin::App)]
    #[case::node_own_module("addChunk", "node:internal/streams/readable", Origin::Runtime)]
    #[case::node_own_module_that_a_rule_knows("connect", "node:net", Origin::Runtime)]
    #[case::node_library("baseClone", "/srv/shop/node_modules/lodash/_baseClone.js", Origin::Library)]
    #[case::node_copied_library("baseClone", "/srv/shop/public/js/lodash.min.js", Origin::Library)]
    #[case::node_copied_library_of_a_bundler("baseClone (webpack:///app/vendor/lodash/lodash.js)", "", Origin::Library)]
    #[case::node_file_of_such_a_name("total", "/srv/shop/src/lodash.js", Origin::App)]
    #[case::rust_service("shop::cart::Cart::sum", "/src/shop/src/cart.rs", Origin::App)]
    #[case::rust_trait_of_the_app("<u64 as shop::price::Price>::total", "", Origin::App)]
    #[case::rust_trait_on_a_type_of_the_app("<shop::Cart as core::fmt::Display>::fmt", "", Origin::App)]
    #[case::rust_primitive("<u64 as core::iter::range::Step>::forward_unchecked", "", Origin::Runtime)]
    #[case::rust_parameter("<T as core::convert::Into<U>>::into", "", Origin::Runtime)]
    #[case::rust_slice("<[T] as core::slice::SlicePartialEq<B>>::equal", "", Origin::Runtime)]
    #[case::rust_trait_of_a_library("<&T as serde_json::value::Index>::index_into", "", Origin::Library)]
    fn tells_whose_code_a_function_is(#[case] name: &str, #[case] file: &str, #[case] origin: Origin) {
        assert_eq!(of(&Rules::builtin(), &Frame::of(name, file), file), origin);
    }
}
