// Goal: a segment that is damaged while it is in use is refused to whoever comes, by the name of
// what is damaged, and those who are in it go on: what they attached to is what they use. Method:
// every byte of what must never change (header, directory, ring controls, tables and the copies of
// them), one after the other, in the very file through which checked traffic flows.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "tests/attach_fuzz/image.h"

namespace millrace {
namespace {

using test::Guarded;
using test::TempDir;
using test::Traffic;
using Mode = Segment::Mode;

/// The live file, writable.
class LiveFile {
public:
    explicit LiveFile(const std::string& path)
        : path_{path}, size_{std::filesystem::file_size(path)} {
        const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
        bytes_ = static_cast<std::byte*>(
            ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
        ::close(fd);
        EXPECT_NE(static_cast<void*>(bytes_), MAP_FAILED);
    }
    ~LiveFile() { ::munmap(bytes_, size_); }
    LiveFile(const LiveFile&) = delete;
    LiveFile& operator=(const LiveFile&) = delete;

    [[nodiscard]] std::span<std::byte> bytes() const { return {bytes_, size_}; }
    /// @return what attaching says; empty if it succeeds.
    [[nodiscard]] std::string attach(Mode mode) const {
        std::string message;
        return Segment::attach(path_, mode, message) ? "" : message;
    }

private:
    std::string path_;
    std::size_t size_;
    std::byte* bytes_ = nullptr;
};

TEST(AttachLive, RefusesEachDamagedByteByNameAndDisturbsNobodyWhoIsInThere) {
    const TempDir dir;
    Traffic traffic{dir.file("live"), dir.str(), Traffic::Attacher::None};
    const LiveFile file{dir.file("live")};
    const std::vector<std::byte> good{file.bytes().begin(), file.bytes().end()};
    std::uint64_t damaged = 0;
    const std::vector<Guarded> places = test::guarded_in(good);
    for (const Guarded& g : places) {
        for (std::uint64_t i = 0; i < g.bytes; ++i) {
            std::byte& byte = file.bytes()[g.offset + i];
            byte ^= std::byte{0xFF};
            const std::string reader = file.attach(Mode::ReadOnly);
            const std::string writer = file.attach(Mode::ReadWrite);
            // Of a number the first byte leads astray, the last one out of the file.
            const bool ends = i == 0 || i + 1 == g.bytes;
            const bool flows = !ends || traffic.flows_on();
            byte ^= std::byte{0xFF};
            ASSERT_TRUE(flows) << g.name << ": " << traffic.stop();
            for (const std::string& said : {reader, writer}) {
                ASSERT_NE(said, "") << g.name << " byte " << i;
                if (g.name != "layout_version") {  // "layout version 7, this build speaks 2"
                    ASSERT_NE(said.find(g.name), std::string::npos) << said;
                }
            }
            ++damaged;
        }
    }
    EXPECT_EQ(file.attach(Mode::ReadOnly), "") << "all is healed";
    EXPECT_EQ(file.attach(Mode::ReadWrite), "");
    EXPECT_TRUE(traffic.flows_on());
    EXPECT_EQ(traffic.stop(), "");
    std::printf(
        "%llu bytes of %zu places damaged in the live segment, each refused twice by name; "
        "%llu records checked meanwhile\n",
        static_cast<unsigned long long>(damaged), places.size(),
        static_cast<unsigned long long>(traffic.checked()));
}

}  // namespace
}  // namespace millrace
