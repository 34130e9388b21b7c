#include "tests/fix/venue.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

namespace millrace::fix::test {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kPatienceMs = 180'000;

/// Value of `"name": ` in one line of JSON as Python writes it; empty if it is not there.
std::string value_of(const std::string& line, const std::string& name) {
    const std::string key = "\"" + name + "\": ";
    const std::size_t at = line.find(key);
    if (at == std::string::npos) {
        return "";
    }
    const std::size_t from = at + key.size();
    const std::string value = line.substr(from, line.find_first_of(",}", from) - from);
    return value.front() == '"' ? value.substr(1, value.size() - 2) : value;
}

}  // namespace

Folder::Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fix_XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
}
Folder::~Folder() {
    std::error_code ignored;  // a folder that stays behind fails no test
    std::filesystem::remove_all(path_, ignored);
}

void Child::start(std::vector<std::string> arguments, const std::string& log) {
    kill9();
    int out[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    std::vector<char*> argv;
    for (std::string& argument : arguments) {
        argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
        ::setsid();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) {
            ::_exit(127);
        }
        const int err = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(err, STDERR_FILENO);
        ::dup2(out[1], STDOUT_FILENO);
        ::execvp(argv[0], argv.data());
        ::_exit(127);
    }
    ::close(out[1]);
    out_ = out[0];
}

std::string Child::line() {
    std::string text;
    for (char c = 0; c != '\n';) {
        pollfd ready{out_, POLLIN, 0};
        if (::poll(&ready, 1, kPatienceMs) <= 0 || ::read(out_, &c, 1) != 1) {
            return "";
        }
        text += c;
    }
    text.pop_back();
    return text;
}

void Child::kill9() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    if (out_ >= 0) {
        ::close(out_);
        out_ = -1;
    }
}

void Child::terminate() const {
    ASSERT_GT(pid_, 0);
    ::kill(pid_, SIGTERM);
}

void Child::pause() const {
    ASSERT_GT(pid_, 0);
    ::kill(pid_, SIGSTOP);
    int status = 0;
    ASSERT_EQ(::waitpid(pid_, &status, WUNTRACED), pid_);
    ASSERT_TRUE(WIFSTOPPED(status));
}

void Child::go_on() const {
    ASSERT_GT(pid_, 0);
    ::kill(pid_, SIGCONT);
}

int Child::wait_end() {
    int status = -1;
    const auto ended = [&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; };
    if (!eventually(ended)) {
        return -1;
    }
    pid_ = -1;
    return status;
}

void Acceptor::start() {
    std::vector<std::string> arguments{"python3", "-B", MILLRACE_FIX_ACCEPTOR, "--dir",
                                       folder_ / "."};
    arguments.insert(arguments.end(), {"--port", std::to_string(port_)});
    if (tls_) {
        if (!std::filesystem::exists(certificate())) {
            const std::string make =
                "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=venue -addext "
                "subjectAltName=DNS:venue.example,IP:127.0.0.1 -days 2 -keyout " +
                folder_ / "key.pem" + " -out " + certificate() + " 2>/dev/null";
            ASSERT_EQ(std::system(make.c_str()), 0) << make;
        }
        arguments.insert(arguments.end(), {"--cert", certificate(), "--key", folder_ / "key.pem"});
    }
    child_.start(arguments, folder_ / "log");
    const std::string ready = child_.line();
    ASSERT_TRUE(ready.starts_with("ready ")) << std::ifstream{folder_ / "log"}.rdbuf();
    port_ = static_cast<std::uint16_t>(std::stoul(ready.substr(6)));
}

std::string Acceptor::control(const std::string& command) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder_ / "control";
    std::memcpy(address.sun_path, path.c_str(), path.size());
    std::string answer;
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
        const std::string line = "{" + command + "}\n";
        EXPECT_EQ(::send(fd, line.data(), line.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(line.size()));
        ::shutdown(fd, SHUT_WR);
        char bytes[1024];
        for (ssize_t n = 0; (n = ::recv(fd, bytes, sizeof(bytes), 0)) > 0;) {
            answer.append(bytes, static_cast<std::size_t>(n));
        }
        EXPECT_FALSE(answer.empty()) << line << std::ifstream{folder_ / "log"}.rdbuf();
    }
    ::close(fd);
    return answer;
}

int Acceptor::stat(const std::string& name) {
    const std::string value = value_of(control("\"cmd\": \"stats\""), name);
    return value.empty() ? -1 : value == "true" ? 1 : std::atoi(value.c_str());
}

std::vector<Executed> Acceptor::executions() const {
    std::vector<Executed> found;
    std::ifstream book{folder_ / "book"};
    for (std::string line; std::getline(book, line);) {
        if (value_of(line, "t") == "exec") {
            found.push_back({value_of(line, "id"), std::stod(value_of(line, "qty")),
                             value_of(line, "side").front()});
        }
    }
    return found;
}

bool eventually(const std::function<bool()>& condition) {
    const auto deadline = Clock::now() + std::chrono::seconds{180};
    while (!condition()) {
        if (Clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    return true;
}

}  // namespace millrace::fix::test
