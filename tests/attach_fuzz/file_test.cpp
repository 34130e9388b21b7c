// Goal: what is not a segment file of ours is refused by what it is. Method: files cut, lengthened,
// emptied and sparse; links, FIFOs, sockets, directories and devices; other users; beside live
// traffic.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/attach_fuzz/image.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
using test::Image;
using test::run_child;
using test::TempDir;
using Mode = Segment::Mode;

constexpr uid_t kNobody = 65534;

class AttachFile : public ::testing::Test {
protected:
    void TearDown() override { EXPECT_EQ(traffic_.stop(), ""); }
    Errc attach(const std::string& path, Mode mode = Mode::ReadOnly) {
        message_.clear();
        const Errc code = Segment::attach(path, mode, message_).code();
        EXPECT_EQ(code == Errc::Ok, message_.empty());
        return code;
    }
    std::string copy() {
        const std::string path = dir_.file("copy");
        fs::copy_file(image_.path(), path, fs::copy_options::overwrite_existing);
        return path;
    }
    TempDir dir_;
    test::Traffic traffic_{dir_.file("live"), dir_.str()};
    Image image_;
    std::string message_;
};

TEST_F(AttachFile, IsRefusedCutAtAnyLength) {
    const auto whole = fs::file_size(image_.path());
    std::set<std::uintmax_t> lengths = {0, 1, 7, 8, 511, 512, 2047, 2048, 4095, 4096, 4097};
    for (std::uintmax_t at = 4096; at < whole; at += 4096 - 1) {
        lengths.insert(at);
    }
    lengths.insert({whole - 1, whole - 8, whole - 4096});
    for (const std::uintmax_t length : lengths) {
        const std::string path = copy();
        fs::resize_file(path, length);
        for (const Mode mode : {Mode::ReadOnly, Mode::ReadWrite}) {
            EXPECT_EQ(attach(path, mode), Errc::BadLayout) << length << ": " << message_;
            EXPECT_NE(message_.find(std::to_string(length)), std::string::npos) << message_;
        }
        EXPECT_EQ(fs::file_size(path), length) << "attaching resized it";
    }
    std::printf("%zu lengths\n", lengths.size());
}

TEST_F(AttachFile, IsRefusedLengthenedOrWithHoles) {
    const auto whole = fs::file_size(image_.path());
    for (const std::uintmax_t more : {1U, 8U, 4096U, 1U << 20U}) {
        const std::string path = copy();
        fs::resize_file(path, whole + more);
        EXPECT_EQ(attach(path), Errc::BadLayout) << message_;
    }
    const TempDir shared{"/dev/shm"};  // where touching a hole may end in SIGBUS
    const std::string path = shared.file("copy");
    fs::copy_file(image_.path(), path);
    ASSERT_EQ(attach(path), Errc::Ok) << message_;
    fs::resize_file(path, whole / 2);
    fs::resize_file(path, whole);
    EXPECT_EQ(attach(path), Errc::BadLayout);
    EXPECT_NE(message_.find("it was cut"), std::string::npos) << message_;
}

TEST_F(AttachFile, IsRefusedByNameIfItIsNoRegularFile) {
    const std::string at = dir_.file("other");
    const auto expect = [&](Errc code, const char* what) {
        for (const Mode mode : {Mode::ReadOnly, Mode::ReadWrite}) {
            EXPECT_EQ(attach(at, mode), code) << message_;
            EXPECT_NE(message_.find(what), std::string::npos) << message_;
        }
        fs::remove(at);
    };
    fs::create_symlink(image_.path(), at);
    expect(Errc::BadInput, "a symbolic link");
    ASSERT_EQ(::mkfifo(at.c_str(), 0600), 0);
    expect(Errc::BadInput, "a FIFO");
    fs::create_directory(at);
    expect(Errc::BadInput, "a directory");
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, at.c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    expect(Errc::BadInput, "a socket");
    ::close(listener);
    EXPECT_EQ(attach("/dev/zero"), Errc::BadInput);
    EXPECT_EQ(attach(image_.path() + "/below"), Errc::NotFound);
    EXPECT_EQ(attach(dir_.file("missing")), Errc::NotFound);
    EXPECT_NE(message_.find("millrace up"), std::string::npos);
    std::ofstream{at} << "not a segment, but long enough to be one" << std::string(8000, '.');
    expect(Errc::BadMagic, "not a Millrace segment");
    std::ofstream{at} << std::string(8000, '\0');
    expect(Errc::BadMagic, "not (yet) a complete segment");
}

TEST_F(AttachFile, IsRefusedIfItIsAnotherUsers) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "SKIPPED: only root can make a file of another user";
    }
    const std::string path = copy();
    ASSERT_EQ(::chown(path.c_str(), kNobody, kNobody), 0);
    EXPECT_EQ(attach(path, Mode::ReadWrite), Errc::BadAuth);
    EXPECT_NE(message_.find("belongs to uid 65534"), std::string::npos) << message_;
    // And the other way round: a stranger may not even read a file of mode 0600.
    fs::permissions(dir_.str(), fs::perms::others_exec | fs::perms::others_read,
                    fs::perm_options::add);
    const std::string ours = dir_.file("ours");
    fs::copy_file(image_.path(), ours);
    const pid_t stranger = run_child([&] {
        if (::setgroups(0, nullptr) != 0 || ::setegid(kNobody) != 0 || ::seteuid(kNobody) != 0) {
            return 2;
        }
        std::string message;
        const bool read = Segment::attach(ours, Mode::ReadOnly, message).code() == Errc::BadAuth;
        const bool write = Segment::attach(ours, Mode::ReadWrite, message).code() == Errc::BadAuth;
        return read && write ? 0 : 1;
    });
    int status = -1;
    ::waitpid(stranger, &status, 0);
    EXPECT_EQ(status, 0);
}

TEST_F(AttachFile, IsMadeWithModeThatKeepsOthersOut) {
    struct stat st{};
    ASSERT_EQ(::stat(image_.path().c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777U, 0600U);
}

}  // namespace
}  // namespace millrace
