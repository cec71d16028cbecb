//! The words of a verdict: categories of work, runtimes, and whose code a function is.

macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $id:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $id)] $variant,)+
        }

        impl $name {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The id in answers, rule files and metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(id: &str) -> Result<Self, String> {
                match id {
                    $($id => Ok(Self::$variant),)+
                    other => Err(format!("unknown {}: {other:?}", stringify!($name).to_lowercase())),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

closed_list! {
    /// What a frame says the program was doing. A closed list: ids are part of public answers, new ones may be added,
    /// none is renamed. What no rule claims has no category.
    Category {
        /// Reclaiming memory.
        GcPressure = "gc_pressure",
        /// Getting or giving back memory by an allocator.
        Allocation = "allocation",
        /// Growing or rehashing a collection.
        CollectionResizing = "collection_resizing",
        /// Building or converting strings.
        StringAllocation = "string_allocation",
        /// Wrapping primitives.
        Boxing = "boxing",
        /// Encoding or decoding a wire or file format.
        Serialization = "serialization",
        /// Matching or compiling regular expressions.
        Regex = "regex",
        /// Raising or unwinding.
        Exception = "exception",
        /// Writing logs.
        Logging = "logging",
        /// Calling or inspecting dynamically.
        Reflection = "reflection",
        /// Loading code.
        ClassLoading = "class_loading",
        /// Compiling or deoptimising at run time.
        JitOverhead = "jit_overhead",
        /// Acquiring or releasing a lock.
        LockContention = "lock_contention",
        /// Parked until something happens.
        ThreadWaiting = "thread_waiting",
        /// Without work.
        Idle = "idle",
        /// Switching.
        Scheduling = "scheduling",
        /// Sending or receiving.
        NetworkIo = "network_io",
        /// Reading or writing files.
        DiskIo = "disk_io",
        /// Resolving names.
        DnsResolution = "dns_resolution",
        /// Mapping memory in the kernel.
        PageFaults = "page_faults",
        /// Talking to a database by its client.
        Database = "database",
        /// Encrypting, signing, digesting.
        Crypto = "crypto",
        /// Compressing or expanding.
        Compression = "compression",
        /// Hashing without cryptography.
        Hashing = "hashing",
        /// Copying or clearing memory.
        MemoryCopy = "memory_copy",
        /// Profiling itself.
        ProfilerOverhead = "profiler_overhead",
        /// Unknown code.
        Unresolved = "unresolved",
    }
}

impl Category {
    /// How much it says about what the program was doing.
    pub fn layer(self) -> Layer {
        match self {
            Self::Serialization
            | Self::Regex
            | Self::Logging
            | Self::Database
            | Self::Compression
            | Self::Crypto
            | Self::DnsResolution
            | Self::Exception
            | Self::ClassLoading
            | Self::JitOverhead => Layer::Purpose,
            Self::NetworkIo | Self::DiskIo => Layer::Transport,
            _ => Layer::Mechanism,
        }
    }

    /// Whether what is moved beneath it is part of it. A codec writes to wherever its caller sends the bytes: encrypting
    /// is no part of sending, nor sending of encrypting.
    pub fn includes_transport(self) -> bool {
        !matches!(self, Self::Serialization | Self::Compression | Self::Crypto)
    }

    /// Whether its samples stay in the active ticks, which shares of findings are of.
    pub fn is_active(self) -> bool {
        !matches!(self, Self::Idle | Self::ProfilerOverhead)
    }

    /// Whether it may be a diagnosis.
    pub fn competes(self) -> bool {
        self.is_active() && self != Self::Unresolved
    }
}

/// How much a category says about what the program was doing. If most of a category's samples are beneath one of a
/// higher layer, that one is the diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// How it was done: copying, allocating, waiting.
    Mechanism,
    /// Moving bytes to and from the process.
    Transport,
    /// What it was done for.
    Purpose,
}

closed_list! {
    /// The language runtime a frame or stack belongs to.
    Runtime {
        /// Java, Kotlin, Scala on a JVM.
        Jvm = "jvm",
        /// Go.
        Go = "go",
        /// CPython.
        Python = "python",
        /// Ruby.
        Ruby = "ruby",
        /// Node.js and V8.
        Node = "node",
        /// .NET.
        Dotnet = "dotnet",
        /// PHP.
        Php = "php",
        /// Rust.
        Rust = "rust",
        /// C, C++ and other native code.
        Native = "native",
        /// The Linux kernel.
        Kernel = "kernel",
    }
}

impl Runtime {
    /// Whether it is a language of its own: neither bare machine code nor the kernel.
    pub(super) fn is_language(self) -> bool {
        !matches!(self, Self::Native | Self::Kernel)
    }
}

/// Whose code a function is.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The application's own.
    #[default]
    App,
    /// A library's.
    Library,
    /// The runtime's, the standard library's or the kernel's.
    Runtime,
}
