// MQL5 API of the host: strings, time, cryptography, files, sockets.
#include "tests/mt5/host.h"
#include "tools/simbroker/event_loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

using millrace::mt5::host;

namespace {

struct InputSlot {
    enum class Kind { Text, Int, Bool, Ulong } kind;
    void* value;
};
std::map<std::string, InputSlot>& inputs() {
    static std::map<std::string, InputSlot> all;
    return all;
}

struct File {
    int fd = -1;
    std::string path;
    std::vector<uchar> unflushed;  // what a death before FileFlush loses
};
std::map<int, File>& files() {
    static std::map<int, File> all;
    return all;
}
std::map<int, int>& sockets() {  // handle -> descriptor, -1 = not connected
    static std::map<int, int> all;
    return all;
}
int next_handle = 1;

std::string path_of(const string& name, int flags) {
    std::string relative = name.str();
    for (char& c : relative) {
        c = c == '\\' ? '/' : c;
    }
    const std::string folder = (flags & FILE_COMMON) != 0 ? "/common/" : "/local/";
    return host().options().files_dir + folder + relative;
}

bool write_out(File& file) {
    std::size_t at = 0;
    while (at < file.unflushed.size()) {
        const ssize_t n = ::write(file.fd, file.unflushed.data() + at, file.unflushed.size() - at);
        if (n <= 0) {
            return false;
        }
        at += static_cast<std::size_t>(n);
    }
    file.unflushed.clear();
    return true;
}

int socket_error(int handle) {
    if (const auto it = sockets().find(handle); it != sockets().end() && it->second >= 0) {
        ::close(it->second);
        it->second = -1;
    }
    host().last_error = 5273;
    return -1;
}

}  // namespace

namespace millrace::mt5 {
bool set_input(const std::string& name, const std::string& value) {
    const auto it = inputs().find(name);
    if (it == inputs().end()) {
        return false;
    }
    switch (it->second.kind) {
        case InputSlot::Kind::Text: *static_cast<string*>(it->second.value) = string{value}; break;
        case InputSlot::Kind::Int: *static_cast<int*>(it->second.value) = std::stoi(value); break;
        case InputSlot::Kind::Bool: *static_cast<bool*>(it->second.value) = value == "true"; break;
        case InputSlot::Kind::Ulong:
            *static_cast<ulong*>(it->second.value) = std::stoul(value);
            break;
    }
    return true;
}
}  // namespace millrace::mt5

MqlInput::MqlInput(const char* name, string* value) {
    inputs()[name] = {InputSlot::Kind::Text, value};
}
MqlInput::MqlInput(const char* name, int* value) {
    inputs()[name] = {InputSlot::Kind::Int, value};
}
MqlInput::MqlInput(const char* name, bool* value) {
    inputs()[name] = {InputSlot::Kind::Bool, value};
}
MqlInput::MqlInput(const char* name, ulong* value) {
    inputs()[name] = {InputSlot::Kind::Ulong, value};
}

// -- language ------------------------------------------------------------------------------------

void MathSrand(int seed) {
    std::srand(static_cast<unsigned>(seed));
}
int MathRand() {
    return std::rand() & 0x7FFF;
}
double NormalizeDouble(double value, int digits) {
    const double factor = std::pow(10.0, digits);
    return std::round(value * factor) / factor;
}
int StringLen(const string& text) {
    return static_cast<int>(text.str().size());
}
ushort StringGetCharacter(const string& text, int at) {
    return at < StringLen(text) ? static_cast<uchar>(text.str()[static_cast<std::size_t>(at)])
                                : ushort{0};
}
void StringTrimLeft(string& text) {
    const auto at = text.str().find_first_not_of(" \t");
    text = string{at == std::string::npos ? "" : text.str().substr(at)};
}
void StringTrimRight(string& text) {
    text = string{text.str().substr(0, text.str().find_last_not_of(" \t") + 1)};
}
int StringFind(const string& text, const string& part) {
    const auto at = text.str().find(part.str());
    return at == std::string::npos ? -1 : static_cast<int>(at);
}
int StringSplit(const string& text, ushort separator, MqlArray<string>& parts) {
    parts.resize(0);
    std::string rest = text.str();
    while (!rest.empty()) {
        const auto at = rest.find(static_cast<char>(separator));
        parts.resize(parts.size() + 1);
        parts[parts.size() - 1] = string{rest.substr(0, at)};
        rest = at == std::string::npos ? "" : rest.substr(at + 1);
    }
    return parts.size();
}
int StringToCharArray(const string& text, MqlArray<uchar>& bytes, int start, int count, uint) {
    if (start != 0 || count != WHOLE_ARRAY) {
        mql_halt("StringToCharArray: the host knows only whole strings");
    }
    const int size = StringLen(text) + 1;
    bytes.resize(size);
    std::memcpy(bytes.data(), text.c_str(), static_cast<std::size_t>(size));
    return size;
}
string CharArrayToString(const MqlArray<uchar>& bytes, int start, int count, uint) {
    std::string out;
    for (int i = start; i < start + count && bytes[i] != 0; ++i) {
        out += static_cast<char>(bytes[i]);
    }
    return string{out};
}
string IntegerToString(long number) {
    return string{std::to_string(number)};
}
void mql_print(const char* kind, const string& text) {
    if (host().options().verbose || std::strcmp(kind, "alert") == 0) {
        std::fprintf(stderr, "mt5_host: %s: %s\n", kind, text.c_str());
    }
}

// -- program, time -------------------------------------------------------------------------------

int GetLastError() {
    return host().last_error;
}
void ResetLastError() {
    host().last_error = 0;
}
bool IsStopped() {
    return host().stopped;
}
void ExpertRemove() {
    host().stopped = true;
}
bool EventSetMillisecondTimer(int milliseconds) {
    host().call("EventSetMillisecondTimer");
    host().timer_ms = milliseconds;
    return true;
}
void EventKillTimer() {
    host().timer_ms = 0;
}
ulong GetMicrosecondCount() {
    static const std::int64_t start = millrace::sim::EventLoop::now().value;
    return static_cast<ulong>((millrace::sim::EventLoop::now().value - start) / 1'000 + 1'000);
}
ulong GetTickCount64() {
    using millrace::sim::EventLoop;
    const std::int64_t booted_at_ms = host().knobs.booted_at_ms;
    return static_cast<ulong>(booted_at_ms > 0
                                  ? EventLoop::wall_now().value / 1'000'000 - booted_at_ms
                                  : EventLoop::now().value / 1'000'000);
}
datetime TimeGMT() {
    return millrace::sim::EventLoop::wall_now().value / 1'000'000'000;
}
datetime TimeLocal() {
    return TimeGMT();
}
datetime TimeTradeServer() {
    return TimeGMT() + millrace::mt5::kServerOffsetMs / 1'000 + host().knobs.server_ahead_s;
}
long TerminalInfoInteger(int property) {
    switch (property) {
        case TERMINAL_CONNECTED: return host().connected() ? 1 : 0;
        case TERMINAL_TRADE_ALLOWED: return host().knobs.terminal_denied == 0 ? 1 : 0;
        case TERMINAL_BUILD: return 4'000;
    }
    mql_halt("TerminalInfoInteger: a property that the host does not know");
}
long MQLInfoInteger(int property) {
    if (property != MQL_TRADE_ALLOWED) {
        mql_halt("MQLInfoInteger: a property that the host does not know");
    }
    return host().knobs.program_denied == 0 ? 1 : 0;
}
int CryptEncode(ENUM_CRYPT_METHOD method, const MqlArray<uchar>& data, const MqlArray<uchar>&,
                MqlArray<uchar>& result) {
    host().call("CryptEncode");
    if (method != CRYPT_HASH_SHA256 || sodium_init() < 0) {
        return 0;
    }
    result.resize(crypto_hash_sha256_BYTES);
    crypto_hash_sha256(result.data(), data.data(), static_cast<unsigned long long>(data.size()));
    return result.size();
}

// -- files ---------------------------------------------------------------------------------------

int FileOpen(const string& name, int flags) {
    host().call("FileOpen");
    const std::string path = path_of(name, flags);
    std::error_code ignored;  // shows itself at the open
    std::filesystem::create_directories(std::filesystem::path{path}.parent_path(), ignored);
    if ((flags & FILE_READ) == 0 || (flags & FILE_WRITE) == 0 || (flags & FILE_BIN) == 0) {
        mql_halt("FileOpen: the host knows only binary files to read and write");
    }
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    // No share flag: nobody else may have it open.
    if (fd < 0 || ::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        host().last_error = 5004;
        if (fd >= 0) {
            ::close(fd);
        }
        return INVALID_HANDLE;
    }
    files()[next_handle] = {fd, path, {}};
    return next_handle++;
}
void FileClose(int handle) {
    host().call("FileClose");
    if (const auto it = files().find(handle); it != files().end()) {
        write_out(it->second);
        ::close(it->second.fd);
        files().erase(it);
    }
}
void FileFlush(int handle) {
    host().call("FileFlush");
    if (host().knobs.flush_lies != 0) {
        return;
    }
    if (!write_out(files().at(handle))) {
        host().last_error = 5025;
    }
}
ulong FileSize(int handle) {
    struct stat info{};
    ::fstat(files().at(handle).fd, &info);
    return static_cast<ulong>(info.st_size);
}
bool FileSeek(int handle, long offset, int origin) {
    return ::lseek(files().at(handle).fd, offset, origin) >= 0;
}
uint FileReadArray(int handle, MqlArray<uchar>& array, int, int) {
    host().call("FileReadArray");
    File& file = files().at(handle);
    array.resize(static_cast<int>(FileSize(handle)));
    std::size_t at = 0;
    while (at < static_cast<std::size_t>(array.size())) {
        const ssize_t n =
            ::read(file.fd, array.data() + at, static_cast<std::size_t>(array.size()) - at);
        if (n <= 0) {
            break;
        }
        at += static_cast<std::size_t>(n);
    }
    return static_cast<uint>(at);
}
uint FileWriteArray(int handle, const MqlArray<uchar>& array, int start, int count) {
    host().call("FileWriteArray");
    if (host().knobs.file_full != 0) {
        host().last_error = 5026;
        return 0;
    }
    File& file = files().at(handle);
    for (int i = start; i < start + count; ++i) {
        file.unflushed.push_back(array[i]);
    }
    return static_cast<uint>(count);
}
bool FileIsExist(const string& name, int common_flag) {
    host().call("FileIsExist");
    return ::access(path_of(name, common_flag).c_str(), F_OK) == 0;
}
bool FileDelete(const string& name, int common_flag) {
    host().call("FileDelete");
    return ::unlink(path_of(name, common_flag).c_str()) == 0;
}

// -- sockets -------------------------------------------------------------------------------------

int SocketCreate(uint) {
    host().call("SocketCreate");
    sockets()[next_handle] = -1;
    return next_handle++;
}
bool SocketConnect(int socket, const string& server, uint port, uint timeout_ms) {
    host().call("SocketConnect");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (const int bytes = static_cast<int>(host().knobs.send_buffer); bytes > 0) {
        ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
    ::inet_pton(AF_INET, server.c_str(), &address.sin_addr);
    bool connected = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    if (!connected && errno == EINPROGRESS) {
        pollfd p{fd, POLLOUT, 0};
        int error = 1;
        socklen_t size = sizeof error;
        connected = ::poll(&p, 1, static_cast<int>(timeout_ms)) == 1 &&
                    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
    }
    if (!connected) {
        ::close(fd);
        host().last_error = 5272;
        return false;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockets()[socket] = fd;
    return true;
}
bool SocketClose(int socket) {
    host().call("SocketClose");
    if (sockets().contains(socket) && sockets()[socket] >= 0) {
        ::close(sockets()[socket]);
    }
    return sockets().erase(socket) == 1;
}
bool SocketTimeouts(int, uint, uint) {
    return true;
}
bool SocketIsConnected(int socket) {
    const auto it = sockets().find(socket);
    return it != sockets().end() && it->second >= 0;
}
uint SocketIsReadable(int socket) {
    if (!SocketIsConnected(socket)) {
        host().last_error = 5273;
        return 0;
    }
    int bytes = 0;
    ::ioctl(sockets()[socket], FIONREAD, &bytes);
    return bytes > 0 ? static_cast<uint>(bytes) : 1U;  // 1 on speculation, as documented
}
bool SocketIsWritable(int socket) {
    if (!SocketIsConnected(socket)) {
        return false;
    }
    pollfd p{sockets()[socket], POLLOUT, 0};
    return ::poll(&p, 1, 0) == 1;
}
int SocketRead(int socket, MqlArray<uchar>& buffer, uint bytes_max, uint timeout_ms) {
    if (!SocketIsConnected(socket)) {
        return socket_error(socket);
    }
    const int fd = sockets()[socket];
    std::vector<uchar> bytes(bytes_max);
    std::size_t got = 0;
    // Waits for all that was asked for, or the timeout.
    for (auto end = millrace::sim::EventLoop::now().value + std::int64_t{timeout_ms} * 1'000'000;
         ;) {
        const ssize_t n = ::recv(fd, bytes.data() + got, bytes.size() - got, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            return socket_error(socket);
        }
        got += n > 0 ? static_cast<std::size_t>(n) : 0U;
        const std::int64_t left_ns = end - millrace::sim::EventLoop::now().value;
        if (got == bytes.size() || left_ns <= 0) {
            break;
        }
        pollfd p{fd, POLLIN, 0};
        ::poll(&p, 1, static_cast<int>(left_ns / 1'000'000) + 1);
    }
    constexpr std::size_t kTypeAt = 4;
    constexpr uchar kCommand = 5;
    if (host().knobs.drop_read != 0 && got > kTypeAt && bytes[kTypeAt] == kCommand) {
        host().knobs.drop_read = 0;
        return socket_error(socket);  // the bytes are lost with the connection
    }
    if (got == 0) {
        host().last_error = host().knobs.timeout_error != 0 ? 5273 : host().last_error;
        return -1;
    }
    host().call("SocketRead");  // an empty one is no place of its own: there are too many
    buffer.resize(static_cast<int>(got));
    std::memcpy(buffer.data(), bytes.data(), got);
    return static_cast<int>(got);
}
int SocketSend(int socket, const MqlArray<uchar>& buffer, uint bytes) {
    host().call("SocketSend");
    if (!SocketIsConnected(socket) || host().break_on_send) {
        host().break_on_send = false;
        return socket_error(socket);
    }
    // Less than asked for, now and then: the program must go on by itself.
    const std::size_t part = host().faults().random().below(4) == 0 ? bytes / 2 + 1 : bytes;
    const ssize_t n = ::send(sockets()[socket], buffer.data(), part, MSG_NOSIGNAL);
    if (n <= 0) {
        return errno == EAGAIN ? 0 : socket_error(socket);
    }
    return static_cast<int>(n);
}
