# What makes a build take less time and leaves what it checks as it is.

# Precompiled headers of libraries: for `tests`, `all` or nobody, as MILLRACE_PRECOMPILE says. The
# presets dev, clang and aarch64 compile without, so there every file must include what it uses.
#
# g++ only: it takes a precompiled header or, if the options differ, reads the text instead; clang
# would refuse.

# precompile(NAME OF <tests|product> HEADERS <a.h>... TARGETS TARGET... [LINK LIBRARY...])
#
# One precompiled header NAME for all of TARGETS, compiled with the options of this directory and of
# LINK. Targets with options or include directories of their own keep to the text.
function(precompile name)
    cmake_parse_arguments(ARG "" "OF" "HEADERS;TARGETS;LINK" ${ARGN})
    if(NOT MILLRACE_PRECOMPILE MATCHES "^(all|${ARG_OF})$"
            OR NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        return()
    endif()
    set(empty ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
    file(CONFIGURE OUTPUT ${empty} CONTENT "// Has a precompiled header.\n")
    add_library(${name} OBJECT EXCLUDE_FROM_ALL ${empty})
    target_link_libraries(${name} PRIVATE millrace::options ${ARG_LINK})
    target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
    get_target_property(options ${name} COMPILE_OPTIONS)
    foreach(target ${ARG_TARGETS})
        get_target_property(own ${target} COMPILE_OPTIONS)
        # Each is "NAME-NOTFOUND" where there are none.
        if("${own}" STREQUAL "${options}" OR (NOT own AND NOT options))
            target_precompile_headers(${target} REUSE_FROM ${name})
            # One with definitions of its own that the header asks for reads the text.
            set_target_properties(${target} PROPERTIES PCH_WARN_INVALID OFF)
            # g++ 12 tells here what it keeps to itself of the text: libstdc++'s own lines.
            target_compile_options(${target} PRIVATE
                -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread)
        endif()
    endforeach()
endfunction()

# compiled_targets(OUT DIRECTORY): the targets of a folder that compile C++ of ours.
function(compiled_targets out directory)
    get_property(targets DIRECTORY ${directory} PROPERTY BUILDSYSTEM_TARGETS)
    set(found)
    foreach(target ${targets})
        get_target_property(type ${target} TYPE)
        get_target_property(sources ${target} SOURCES)
        if(type MATCHES "EXECUTABLE|LIBRARY" AND NOT type STREQUAL "INTERFACE_LIBRARY"
                AND sources MATCHES "\\.cpp")
            list(APPEND found ${target})
        endif()
    endforeach()
    set(${out} ${found} PARENT_SCOPE)
endfunction()

# What most of our files include of the standard library and the system.
set(MILLRACE_COMMON_HEADERS
    <algorithm> <array> <atomic> <charconv> <cstdint> <cstdio> <cstring> <filesystem> <fstream>
    <functional> <map> <memory> <optional> <set> <span> <string> <string_view> <vector>
    <fcntl.h> <sys/stat.h> <unistd.h>)

# command_line(FILE...): sources of this folder that read command lines with CLI11. All of that
# library is in its headers, and optimising what runs once took half of such a file's time.
function(command_line)
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -O0 SKIP_PRECOMPILE_HEADERS ON)
endfunction()
