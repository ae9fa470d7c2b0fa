# For aarch64 on Linux: cmake --toolchain cmake/aarch64.cmake. What is built runs under qemu-user.
#
# SKUA_PREFIX: where a cmocka for aarch64 is, as tools/portable/cmocka leaves it.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
find_program(SKUA_QEMU qemu-aarch64 REQUIRED)
set(CMAKE_CROSSCOMPILING_EMULATOR ${SKUA_QEMU} -L /usr/aarch64-linux-gnu)
set(SKUA_PLATFORM qemu) # see tests/lacking.txt
set(SKUA_PREFIX "" CACHE PATH "Libraries for aarch64")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SKUA_PREFIX)

set(CMAKE_FIND_ROOT_PATH ${SKUA_PREFIX} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)

# The machine's own libraries are for its own processor.
set(ENV{PKG_CONFIG_LIBDIR} "${SKUA_PREFIX}/lib/pkgconfig")
