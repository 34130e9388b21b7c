#include "tools/millrace/pid_file.h"

#include "shm/boot_id.h"
#include "shm/role.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>

namespace millrace {

bool write_pid_file(const std::string& folder) {
    const std::string path = folder + "/" + kPidFile;
    std::ofstream file{path + ".next"};
    file << ::getpid() << ' ' << process_start_time(::getpid()) << ' ' << read_boot_id() << '\n';
    file.close();
    return !file.fail() && std::rename((path + ".next").c_str(), path.c_str()) == 0;
}

ProcessId read_pid_file(const std::string& folder) {
    ProcessId id;
    std::string boot;
    std::ifstream file{folder + "/" + kPidFile};
    if (!(file >> id.pid >> id.start_time)) {
        return {};
    }
    const bool earlier = file >> boot && boot != read_boot_id();
    return earlier ? ProcessId{} : id;
}

}  // namespace millrace
