#include "shm/segment.h"

#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "shm/boot_id.h"
#include "shm/segment_plan.h"
#include "shm/source_ring.h"

namespace millrace {
namespace bip = boost::interprocess;

namespace {

Error fail(std::string& message, std::string text, Errc code, int sys_errno = 0) {
    message = std::move(text);
    return {code, sys_errno, "segment"};
}

std::string errno_text(int e) {
    return std::string{": "} + std::strerror(e);
}

/// A descriptor that closes itself.
class Descriptor {
public:
    explicit Descriptor(int fd) noexcept : fd_{fd} {}
    ~Descriptor() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_;
};

/// Maps the very file behind `fd`: a path could name another one by now.
std::unique_ptr<bip::mapped_region> map_file(int fd, bool writable) {
    const auto mode = writable ? bip::read_write : bip::read_only;
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const bip::file_mapping file{path.c_str(), mode};
    return std::make_unique<bip::mapped_region>(file, mode);
}

/// A new file of `bytes` (none reserved yet), mapped.
Result<std::unique_ptr<bip::mapped_region>> map_new(int fd, const std::string& path,
                                                    std::uint64_t bytes, std::string& message) {
    if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
        const int e = errno;
        return fail(message, no_space_text(path, bytes, e),
                    e == EFBIG || e == EINVAL ? Errc::NoSpace : Errc::IoError, e);
    }
    try {
        return map_file(fd, true);
    } catch (const bip::interprocess_exception& e) {
        // hugetlbfs reserves its pages here.
        const int code = static_cast<int>(e.get_native_error());
        return fail(message,
                    code == ENOMEM ? no_space_text(path, bytes, code)
                                   : "cannot map segment " + path + ": " + e.what(),
                    code == ENOMEM ? Errc::NoSpace : Errc::IoError, code);
    }
}

const char* kind_of(mode_t mode) noexcept {
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISLNK(mode)  ? "a symbolic link"
                            : "a device";
}

/// Looks before it opens: opening a FIFO or a device may do something.
Status check_file(const std::string& path, const struct stat& st, Segment::Mode mode,
                  std::string& message) {
    if (!S_ISREG(st.st_mode)) {
        return fail(message, path + " is " + kind_of(st.st_mode) + ", not a segment file",
                    Errc::BadInput);
    }
    if (mode == Segment::Mode::ReadWrite && st.st_uid != ::geteuid()) {
        return fail(message,
                    path + " belongs to uid " + std::to_string(st.st_uid) +
                        ", not to this process's uid " + std::to_string(::geteuid()),
                    Errc::BadAuth);
    }
    if (static_cast<std::uint64_t>(st.st_size) < kHeaderCopyOffset + sizeof(SegmentHeader)) {
        return fail(
            message,
            path + " has " + std::to_string(st.st_size) + " bytes, too few for a segment header",
            Errc::BadLayout);
    }
    return ok_status();
}

/// A hole is filled when it is first touched, by SIGBUS if the file system is full then. Files of
/// ours have none; a cut file that was lengthened again, or a sparse copy, has.
bool has_holes(int fd, const struct stat& st) noexcept {
    struct statfs fs{};
    return ::fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC &&
           static_cast<std::uint64_t>(st.st_blocks) * 512 < static_cast<std::uint64_t>(st.st_size);
}

Result<std::unique_ptr<bip::mapped_region>> map_existing(const std::string& path,
                                                         Segment::Mode mode, std::string& message) {
    struct stat st{};
    if (::lstat(path.c_str(), &st) != 0) {
        const int e = errno;
        return fail(message, "no segment at " + path + errno_text(e) + "; `millrace up` creates it",
                    e == EACCES                   ? Errc::BadAuth
                    : e == ENOENT || e == ENOTDIR ? Errc::NotFound
                                                  : Errc::IoError,
                    e);
    }
    if (auto good = check_file(path, st, mode, message); !good) {
        return good.error();
    }
    const int access = mode == Segment::Mode::ReadWrite ? O_RDWR : O_RDONLY;
    const Descriptor fd{::open(path.c_str(), access | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
    if (fd.get() < 0 || ::fstat(fd.get(), &st) != 0) {
        const int e = errno;
        return fail(message, "cannot open segment " + path + errno_text(e),
                    e == EACCES || e == EPERM ? Errc::BadAuth : Errc::IoError, e);
    }
    if (auto good = check_file(path, st, mode, message); !good) {  // it may be another one by now
        return good.error();
    }
    if (has_holes(fd.get(), st)) {
        return fail(message,
                    path + " has " + std::to_string(st.st_size) + " bytes, of which only " +
                        std::to_string(st.st_blocks * 512) +
                        " are there: it was cut or "
                        "copied without its zeros",
                    Errc::BadLayout);
    }
    try {
        return map_file(fd.get(), mode == Segment::Mode::ReadWrite);
    } catch (const std::exception& e) {
        return fail(message, "cannot map " + path + ": " + e.what(), Errc::IoError);
    }
}

}  // namespace

const char* stage_name(StageId id) noexcept {
    static constexpr const char* kNames[kStages] = {"engine", "broker",  "journal",   "replica",
                                                    "sqlite", "ingress", "metrics",   "supervisor",
                                                    "redis",  "rtss",    "clickhouse"};
    const auto i = static_cast<std::uint32_t>(id);
    return i < kStages ? kNames[i] : "?";
}

Segment::Segment() noexcept = default;
Segment::~Segment() = default;
Segment::Segment(Segment&&) noexcept = default;
Segment& Segment::operator=(Segment&&) noexcept = default;

Result<Segment> Segment::create(const SegmentPlan& plan, std::string& message) {
    SegmentShape shape;
    shape_of(plan, shape);
    const Descriptor fd{
        ::open(plan.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (fd.get() < 0) {
        const int e = errno;
        return fail(message,
                    "cannot create segment " + plan.path + errno_text(e) +
                        (e == EEXIST ? " (attach to it, or remove it when its owner is dead)" : ""),
                    e == EEXIST ? Errc::Busy : Errc::IoError, e);
    }
    auto made = fill(plan, shape, fd.get(), message);
    if (!made) {
        ::unlink(plan.path.c_str());
    }
    return made;
}

Result<Segment> Segment::fill(const SegmentPlan& plan, const SegmentShape& shape, int fd,
                              std::string& message) {
    auto mapped = map_new(fd, plan.path, shape.total_bytes, message);
    if (!mapped) {
        return mapped.error();
    }
    Segment s;
    s.path_ = plan.path;
    s.region_ = std::move(mapped).value();
    auto* base = static_cast<std::byte*>(s.region_->get_address());
    const auto facts = furnish(fd, plan.path, base, shape.total_bytes, plan.memory, message);
    if (!facts) {
        return facts.error();
    }
    s.locked_ = facts.value().locked;
    s.shared_ = new (base) SegmentHeader{};
    SegmentHeader& h = *s.shared_;
    write_header(h, plan, shape);
    const std::string boot = read_boot_id();
    std::memcpy(h.boot_id, boot.data(), std::min(boot.size(), sizeof h.boot_id));
    if (::getrandom(h.uuid, sizeof h.uuid, 0) != sizeof h.uuid) {
        return fail(message, "the kernel gives no random bytes for the segment's uuid",
                    Errc::IoError);
    }
    h.creator_pid = static_cast<std::uint32_t>(::getpid());
    h.creator_uid = ::geteuid();
    h.created_ns = wall_ns();
    h.clock_anchor_ns = wall_ns() - monotonic_ns();
    h.huge_bytes = facts.value().huge_bytes;
    h.huge_pages = h.huge_bytes != 0 ? 1 : 0;
    h.numa_node = facts.value().numa_node;
    h.locked = facts.value().locked ? 1 : 0;
    write_rings(base, shape);
    publish_header(h);
    s.remember();
    return s;
}

Result<Segment> Segment::attach(const std::string& path, Mode mode, std::string& message) {
    auto mapped = map_existing(path, mode, message);
    if (!mapped) {
        return mapped.error();
    }
    Segment s;
    s.path_ = path;
    s.region_ = std::move(mapped).value();
    s.shared_ = static_cast<SegmentHeader*>(s.region_->get_address());
    if (Error e = validate(*s.shared_, s.region_->get_size(), message); e.code != Errc::Ok) {
        message = path + ": " + message;
        return e;
    }
    s.remember();
    if (mode == Mode::ReadOnly) {
        return s;
    }
    if (!s.same_boot()) {
        return fail(message,
                    path + ": is of another boot or host (boot_id " +
                        std::string{s.header().boot_id,
                                    ::strnlen(s.header().boot_id, sizeof s.header().boot_id)} +
                        ", now " + read_boot_id() + ")",
                    Errc::OtherBoot);
    }
    auto* base = static_cast<std::byte*>(s.region_->get_address());
    populate(base, s.region_->get_size());
    for (std::uint32_t i = 0; i < s.ring_count(); ++i) {
        if (is_judged_by_its_user(s.ring_entry(i))) {
            continue;
        }
        if (auto good = s.check_ring(i, message); !good) {
            message.insert(0, path + ": ");
            return good.error();
        }
    }
    std::string refused;  // the creator's lock holds the pages; ours is for the day that it dies
    s.locked_ = s.header().locked != 0 && lock_pages(base, s.region_->get_size(), refused).ok();
    return s;
}

Status Segment::check_ring(std::uint32_t index, std::string& message) const {
    const Error e = check_numbers(ring_entry(index), at(0), message);
    if (e.code != Errc::Ok) {
        return e;
    }
    return ok_status();
}

bool Segment::same_boot() const {
    const std::string boot = read_boot_id();
    const SegmentHeader& h = header();
    return std::string_view{h.boot_id, ::strnlen(h.boot_id, sizeof h.boot_id)} == boot;
}

void Segment::remember() {
    std::memcpy(found_.data(), static_cast<const void*>(shared_), sizeof(SegmentHeader));
    const SegmentHeader& h = header();
    const auto* first = reinterpret_cast<const RingEntry*>(at(h.rings_offset));
    rings_.assign(first, first + h.ring_count);
}

std::byte* Segment::at(std::uint64_t offset) const noexcept {
    return reinterpret_cast<std::byte*>(shared_) + offset;
}
CoreCells& Segment::core() const noexcept {
    return *reinterpret_cast<CoreCells*>(at(header().core_offset));
}
Doorbell& Segment::doorbell(std::uint32_t index) const noexcept {
    ASSERT(index < header().doorbell_count);
    return reinterpret_cast<Doorbell*>(at(header().doorbells_offset))[index];
}
Doorbell& Segment::doorbell(StageId stage) const noexcept {
    return doorbell(static_cast<std::uint32_t>(stage));
}
StageEntry& Segment::stage(StageId stage) const noexcept {
    auto* first = reinterpret_cast<StageEntry*>(at(header().stages_offset));
    return first[static_cast<std::uint32_t>(stage)];
}
SessionEntry& Segment::session(AccountId account) const noexcept {
    ASSERT(account.value < header().session_count);
    return reinterpret_cast<SessionEntry*>(at(header().sessions_offset))[account.value];
}
NameTables& Segment::names() const noexcept {
    return *reinterpret_cast<NameTables*>(at(header().names_offset));
}
TickCell& Segment::tick(SymbolId symbol) const noexcept {
    ASSERT(symbol.value < kSymbolsMax);
    return reinterpret_cast<TickCell*>(at(header().ticks_offset))[symbol.value];
}
Histogram& Segment::hop(Hop hop) const noexcept {
    ASSERT(static_cast<std::uint32_t>(hop) < kHops);
    return reinterpret_cast<Histogram*>(at(header().hops_offset))[static_cast<std::uint32_t>(hop)];
}
HashCheck& Segment::hash_check(std::uint32_t i) const noexcept {
    return reinterpret_cast<HashCheck*>(at(header().hashes_offset))[i % kHashChecks];
}
ErrorEntry& Segment::error(std::uint32_t i) const noexcept {
    ASSERT(i < kErrors);
    return reinterpret_cast<ErrorEntry*>(at(header().errors_offset))[i];
}
const RingEntry& Segment::ring_entry(std::uint32_t index) const noexcept {
    ASSERT(index < rings_.size());
    return rings_[index];
}
std::uint32_t Segment::find_ring(std::string_view name) const noexcept {
    for (std::uint32_t i = 0; i < ring_count(); ++i) {
        if (view(ring_entry(i).name) == name) {
            return i;
        }
    }
    return kNoId;
}
RingControl<>& Segment::ring_control(std::uint32_t index) const noexcept {
    return *reinterpret_cast<RingControl<>*>(at(ring_entry(index).control_offset));
}

}  // namespace millrace
